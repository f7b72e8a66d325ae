"""How the parameters of each record are kept until it is known where they converge."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.callbacks.sketch import CountSketch
from keras_lcb.training.layers import TrackedLayer

_GIB = 2**30


class Snapshots:
    """Keeps layers' parameters whole, or as sketches, within a budget.

    Args:
        rows: The layers.
        memory: "exact" or "sketch".
        buckets: Length of a layer's sketch.
        budget: Most bytes that whole parameters may take.
        seed: Seed of the sketches.
        on_device: Whether whole parameters stay in the accelerator's memory.
    """

    def __init__(
        self,
        rows: Sequence[TrackedLayer],
        memory: str,
        buckets: int,
        budget: int,
        seed: int,
        on_device: bool,
    ) -> None:
        self.rows = rows
        self.budget = budget
        self.on_device = on_device
        self.sketched = memory == "sketch"
        self._buckets = buckets
        self._sketches = [
            CountSketch(row.parameters, buckets, [seed, place]) for place, row in enumerate(rows)
        ]
        sizes = (row.parameters * _dtype(row.variables).itemsize for row in rows)
        self.record_bytes = sum(sizes)  # of one record that is kept whole

    @property
    def relative_errors(self) -> np.ndarray:
        """Relative standard error of a distance between two snapshots, one a layer."""
        return np.array([s.relative_error if self.sketched else 0.0 for s in self._sketches])

    def keep(self, place: int, vector: np.ndarray) -> Any:
        """What a record keeps of a layer whose parameters are `vector`."""
        if self.sketched:
            return self._sketches[place](vector)
        return _on_device(self.rows[place]) if self.on_device else vector

    @property
    def stay_on_device(self) -> bool:
        """Whether records are kept on the device, so that no copy on the host is needed."""
        return self.on_device and not self.sketched

    def of_device(self, place: int) -> Any:
        """A copy of the layer's parameters on the device."""
        return _on_device(self.rows[place])

    def now(self, place: int) -> np.ndarray:
        """The layer's parameters as they are, in the form in which records are kept."""
        vector = parameter_vector(self.rows[place].variables)
        return self._sketches[place](vector) if self.sketched else vector

    def check_budget(self, records: int) -> None:
        """Refuses, before training, whole records that will not fit.

        Raises:
            ValueError: If `records` of them take more than the budget.
        """
        needed = records * self.record_bytes
        if self.sketched or needed <= self.budget:
            return
        sketched = 4 * records * sum(min(row.parameters, self._buckets) for row in self.rows)
        raise ValueError(
            f"{records:,} exact records of {self.record_bytes / 2**20:,.3f} MiB take "
            f"{needed / _GIB:,.3f} GiB, over the budget of {self.budget / _GIB:,.3f} GiB. Use "
            f"memory='sketch' ({sketched / _GIB:,.3f} GiB, distances within about "
            f"{max(s.relative_error for s in self._sketches):.1%}), a larger `every`, fewer "
            "`layers`, or a larger `budget`."
        )

    def have_room(self, records: Sequence[dict[str, Any]]) -> bool:
        """Whether one more record fits into the budget."""
        return self.sketched or (len(records) + 1) * self.record_bytes <= self.budget

    def sketch_for_room(self, records: Sequence[dict[str, Any]]) -> None:
        """Turns whole records into sketches, since they fill the budget."""
        warnings.warn(
            f"{len(records):,} exact records fill the budget of {self.budget / _GIB:,.3f} GiB: "
            f"they are kept as sketches of {self._buckets:,} numbers a layer from now on.",
            stacklevel=2,
        )
        self.sketch(records)

    def sketch(self, records: Iterable[dict[str, Any]]) -> None:
        """Keeps sketches from now on, of these records too."""
        self.sketched = True
        for record in records:
            for place, sketch in enumerate(self._sketches):
                vector = on_host(record[kept(place)])
                if len(vector) == sketch.size:
                    record[kept(place)] = sketch(vector)

    def are_whole(self, record: dict[str, Any]) -> bool:
        """Whether a record holds all parameters of each layer."""
        return all(len(record[kept(place)]) == s.size for place, s in enumerate(self._sketches))


def kept(place: int) -> str:
    """Name under which a record holds the snapshot of a layer."""
    return f"kept/{place}"


def parameter_vector(variables: Sequence[Any]) -> np.ndarray:
    """Variables as one vector on the host, in single precision or, where they have it, double."""
    values = [ops.on_host(variable).ravel() for variable in variables]
    dtype = np.result_type("float32", *{value.dtype for value in values})
    return np.concatenate(values, dtype=dtype, casting="unsafe")


def kernel_slices(row: TrackedLayer) -> list[slice]:
    """Where the kernels, variables of rank two and more, stand in a layer's parameter vector."""
    slices = []
    start = 0
    for variable in row.variables:
        stop = start + _size(variable)
        if len(variable.shape) >= 2:
            slices.append(slice(start, stop))
        start = stop
    return slices


def on_host(snapshot: Any) -> np.ndarray:
    """A snapshot as an array, wherever it is kept."""
    return snapshot if isinstance(snapshot, np.ndarray) else keras.ops.convert_to_numpy(snapshot)


def _on_device(row: TrackedLayer) -> Any:
    dtype = _dtype(row.variables).name
    parts = [keras.ops.cast(keras.ops.ravel(v), dtype) for v in row.variables]
    # A copy that owns its memory: JAX hands that of the weights on to the next step.
    return keras.ops.copy(keras.ops.stop_gradient(keras.ops.concatenate(parts)))


def _dtype(variables: Sequence[Any]) -> np.dtype:
    return np.dtype("float64" if any(v.dtype == "float64" for v in variables) else "float32")


def _size(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))
