"""Sketches, norms, distances and angles of layers, computed where the weights are.

Only these few numbers come to the host. On the device, this takes a copy of the initial weights
and, for a moment, room for one large layer, or for some small ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.callbacks.sketch import CountSketch
from keras_lcb.callbacks.snapshots import kernel_slices, on_device
from keras_lcb.callbacks.weight_distances import angle
from keras_lcb.training.layers import TrackedLayer

_AT_ONCE = 1 << 22  # parameters; fewer would wait more often for the device


class DeviceSketches:
    """Measures layers on the device.

    Args:
        rows: The layers.
        sketches: The sketch of each layer.
        initial: The parameters of each layer at the start, as one vector, on the device or not.
    """

    def __init__(
        self, rows: Sequence[TrackedLayer], sketches: Sequence[CountSketch], initial: Sequence[Any]
    ) -> None:
        self._rows = rows
        self._sketches = sketches
        self._initial = [keras.ops.convert_to_tensor(vector) for vector in initial]
        self._parts = [_parts(row) for row in rows]

    def measure(self) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Returns the sketch of each layer, and what `Ways.from_start` returns, (layers,)."""
        sketches: list[np.ndarray] = []
        lengths: list[np.ndarray] = []
        for places in self._together():
            vectors = [on_device(self._rows[place]) for place in places]
            sketches += self._sketched(places, vectors)
            lengths += self._lengths(places, vectors)
        whole, kernel, moved, kernel_moved, at_start = np.array(lengths).T
        return sketches, {
            "parameter_norm": whole,
            "kernel_norm": kernel,
            "distance_from_start": moved,
            "angle": angle(kernel, at_start, kernel_moved),
        }

    def _together(self) -> Iterator[list[int]]:
        """Yields the places of layers that are measured at once."""
        places: list[int] = []
        parameters = 0
        for place, row in enumerate(self._rows):
            if places and parameters + row.parameters > _AT_ONCE:
                yield places
                places, parameters = [], 0
            places.append(place)
            parameters += row.parameters
        yield places

    def _sketched(self, places: list[int], vectors: Sequence[Any]) -> list[np.ndarray]:
        made = [self._sketches[at].on_device(v) for at, v in zip(places, vectors, strict=True)]
        dtypes = {keras.backend.standardize_dtype(one.dtype) for one in made}
        if len(dtypes) > 1:
            return [keras.ops.convert_to_numpy(one) for one in made]
        together = keras.ops.convert_to_numpy(keras.ops.concatenate(made))  # one transfer
        return np.split(together, np.cumsum([len(one) for one in made[:-1]]))

    def _lengths(self, places: list[int], vectors: Sequence[Any]) -> list[np.ndarray]:
        """Returns five lengths of each layer, in the order in which `measure` takes them."""
        parts = [(at, *part) for at, place in enumerate(places) for part in self._parts[place]]
        now = [vectors[at][part] for at, part, _ in parts]
        start = [self._initial[places[at]][part] for at, part, _ in parts]
        squares = (
            ops.squared_norms(now),
            ops.squared_distances(now, start),
            ops.squared_norms(start),
        )
        size, moved, first = (keras.ops.convert_to_numpy(s).astype(np.float64) for s in squares)
        kernel = np.array([is_kernel for *_, is_kernel in parts])
        of_kernels = (np.where(kernel, squares, 0.0) for squares in (size, moved, first))
        kernel_size, kernel_moved, kernel_first = of_kernels
        columns = np.stack([size, kernel_size, moved, kernel_moved, kernel_first], axis=1)
        sums = np.zeros((len(places), columns.shape[1]))
        np.add.at(sums, [at for at, *_ in parts], columns)
        return list(np.sqrt(sums))


def _parts(row: TrackedLayer) -> list[tuple[slice, bool]]:
    """Returns the slices of a layer's vector that hold kernels, and those between them."""
    kernels = kernel_slices(row)
    edges = sorted({0, row.parameters, *(end for k in kernels for end in (k.start, k.stop))})
    starts = {k.start for k in kernels}
    return [(slice(a, b), a in starts) for a, b in zip(edges, edges[1:], strict=False)]
