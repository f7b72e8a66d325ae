"""Norms of the layers' weights, and distances and angles between them.

They are computed on the host, in double precision and in little memory.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

_CHUNK = 1 << 15  # so many float64 numbers stay in the processor's cache

# The weights of all layers, as one or more arrays in order. They are read in blocks, because one
# array of all of them might not fit into memory.
Parts = Sequence[np.ndarray]


class Layout:
    """Where the layers, and their kernels, are within the weights of all layers.

    Args:
        sizes: Number of weights of each layer.
        kernels: For each layer, the slices of its weights that hold kernels, in order. Defaults to
            `None`: there are no kernels.
    """

    def __init__(
        self, sizes: Sequence[int], kernels: Sequence[Sequence[slice]] | None = None
    ) -> None:
        edges, firsts = [0], []
        is_kernel: list[bool] = []
        for size, slices in zip(sizes, kernels or [()] * len(sizes), strict=True):
            start = edges[-1]
            firsts.append(len(is_kernel))
            kernel_edges = [edge for part in slices for edge in (part.start, part.stop)]
            for place, edge in enumerate([*kernel_edges, size]):
                if start + edge > edges[-1]:  # segments without weights are left out
                    edges.append(start + edge)
                    is_kernel.append(place % 2 == 1)
        # Edges of segments. Each segment lies in one layer, and within a kernel or outside.
        self._edges = edges
        self._is_kernel = np.array(is_kernel, bool)
        self._filled = np.asarray(sizes) > 0
        self._firsts = np.array(firsts, int)[self._filled]  # first segment of each such layer

    def lengths(
        self, records: Sequence[Parts], *others: Parts | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Returns, for each layer, the distances of its weights from others, and of its kernels.

        Args:
            records: The weights of all layers at each record, cut into the same parts.
            *others: Other weights of all layers, cut into any parts; `None` for zeros.

        Returns:
            For each of `others`, the distances of all weights, and those of kernels alone: arrays
            (records, layers).
        """
        found = []
        for squares in _squares(records, others, self._edges):
            of_kernels = np.where(self._is_kernel, squares, 0.0)
            found.append((self._over_layers(squares), self._over_layers(of_kernels)))
        return found

    def _over_layers(self, squares: np.ndarray) -> np.ndarray:
        found = np.zeros((len(squares), len(self._filled)))
        if len(self._firsts):
            found[:, self._filled] = np.add.reduceat(squares, self._firsts, axis=1)
        return np.sqrt(found)


def norms(layers: Parts) -> np.ndarray:
    """Returns the norm of the weights of each layer."""
    return Layout([len(own) for own in layers]).lengths([layers], None)[0][0][0]


def angle(one: Any, other: Any, apart: Any) -> np.ndarray:
    """Returns 1 − cos between two vectors; NaN where one of them has no direction.

    It is (‖a − b‖² − (‖a‖ − ‖b‖)²) / (2‖a‖‖b‖), which keeps its digits for small angles, too.

    Args:
        one: Norm of one vector.
        other: Norm of the other.
        apart: Their distance.

    Source: Carbonnelle & De Vleeschouwer (2019), "Layer rotation".
    """
    one, other, apart = np.broadcast_arrays(one, other, apart)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = np.maximum(0.0, apart**2 - (one - other) ** 2) / (2 * one * other)
        known = (one > 0) & (one < np.inf) & (other > 0) & (other < np.inf)
    return np.where(known, found, np.nan)


def weights(
    records: Sequence[Parts], start: int, stop: int, edges: Sequence[int] | None = None
) -> np.ndarray:
    """Returns the weights from `start` to `stop` at each record, in double precision.

    Args:
        records: The weights of all layers at each record, cut into the same parts.
        start: The first weight to return.
        stop: The first weight not to return.
        edges: Where the parts begin and end, if this is already known.
    """
    edges = edges or _edges(records[0])
    first, last = bisect.bisect(edges, start) - 1, bisect.bisect_left(edges, stop) - 1
    head, tail = slice(start - edges[first], None), slice(stop - edges[last])
    if first == last:
        head = slice(head.start, tail.stop)
        pieces = [parts[first][head] for parts in records]
    else:
        pieces = [
            piece
            for parts in records
            for piece in (parts[first][head], *parts[first + 1 : last], parts[last][tail])
        ]
    block = np.empty((len(records), stop - start))
    np.concatenate(pieces, out=block.reshape(-1))
    return block


@np.errstate(invalid="ignore", over="ignore")  # inf - inf; numbers whose squares are too large
def _squares(
    records: Sequence[Parts], others: Sequence[Parts | None], edges: Sequence[int]
) -> np.ndarray:
    """Returns the squared distance of each segment: an array (others, records, segments)."""
    sums = np.zeros((len(others), len(records), len(edges) - 1))
    record_edges = _edges(records[0])
    for start in range(0, edges[-1], _CHUNK):
        stop = min(start + _CHUNK, edges[-1])
        first, last = bisect.bisect(edges, start) - 1, bisect.bisect_left(edges, stop)
        segments = np.maximum(edges[first:last], start) - start
        taken = [other if other is None else weights([other], start, stop) for other in others]
        at_once = _CHUNK // (stop - start)
        for row in range(0, len(records), at_once):
            rows = slice(row, row + at_once)
            block = weights(records[rows], start, stop, record_edges)
            for own, other in zip(sums, taken, strict=True):
                apart = block if other is None else block - other
                own[rows, first:last] += np.add.reduceat(apart * apart, segments, axis=1)
    return sums


def _edges(parts: Parts) -> list[int]:
    return list(itertools.accumulate(map(len, parts), initial=0))
