"""Norms of weight vectors, and distances and angles between them.

They are computed on the host, in double precision and in little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_CHUNK = 1 << 15  # so many float64 numbers stay in the processor's cache


def norms(
    vectors: Sequence[np.ndarray], within: Sequence[slice] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the Euclidean norms of vectors, and those of their parts within some slices.

    Args:
        vectors: Vectors of one length.
        within: Slices, in order.
    """
    return _lengths(vectors, None, within)


def distances(
    vectors: Sequence[np.ndarray], other: np.ndarray, within: Sequence[slice] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the Euclidean distances of vectors from another one, and those within some slices.

    Args:
        vectors: Vectors of one length.
        other: The other vector, of the same length.
        within: Slices, in order.
    """
    return _lengths(vectors, other, within)


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


@np.errstate(invalid="ignore")  # inf - inf
def _lengths(
    vectors: Sequence[np.ndarray], other: np.ndarray | None, within: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:
    inside, outside = np.zeros(len(vectors)), np.zeros(len(vectors))
    for rows, columns in _blocks(len(vectors), len(vectors[0])):
        parts = [vector[columns] for vector in vectors[rows]]
        block = np.concatenate(parts).astype(np.float64).reshape(len(parts), -1)
        if other is not None:
            block -= other[columns]
        chosen = np.zeros(block.shape[1], bool)
        for part in within:
            chosen[max(part.start - columns.start, 0) : max(part.stop - columns.start, 0)] = True
        for start, stop in _runs(chosen):
            own = block[:, start:stop]
            # Not `dot`: OpenBLAS may wake its threads, whose cores training holds busy.
            squares = np.einsum("ij,ij->i", own, own)
            (inside if chosen[start] else outside)[rows] += squares
    return np.sqrt(inside + outside), np.sqrt(inside)


def _blocks(count: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yields rows and columns of blocks that together make up `count` vectors of a length."""
    width = min(size, _CHUNK)
    at_once = max(1, _CHUNK // max(1, width))
    for first in range(0, count, at_once):
        for start in range(0, size, _CHUNK):
            yield slice(first, first + at_once), slice(start, min(start + width, size))


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Returns start and end of each run of equal values."""
    ends = [*(np.flatnonzero(np.diff(chosen)) + 1).tolist(), len(chosen)]
    return list(zip([0, *ends[:-1]], ends, strict=True)) if len(chosen) else []
