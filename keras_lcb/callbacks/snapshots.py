"""Keeps the parameters of each record until the converged parameters are known."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.callbacks.sketch import CountSketch
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.spool import Spool, Spooled

_GIB = 2**30


class Snapshots:
    """Keeps the parameters of layers whole, or as sketches, within a memory budget.

    Args:
        rows: The layers.
        memory: "exact" or "sketch".
        buckets: Length of a layer's sketch.
        budget: The most memory, in bytes, that whole parameters may take.
        seed: Seed of the sketches.
        on_device: Whether whole parameters stay in the accelerator's memory, and sketches are
            made there.
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
        self.sketches = [
            CountSketch(row.parameters, buckets, [seed, place]) for place, row in enumerate(rows)
        ]
        sizes = (row.parameters * _dtype(row.variables).itemsize for row in rows)
        self.record_bytes = sum(sizes)  # size of one record of whole parameters
        edges = np.cumsum([0, *(min(row.parameters, buckets) for row in rows)]).tolist()
        # Of a row of sketches. All records share these slices.
        self._columns = [slice(*ends) for ends in itertools.pairwise(edges)]
        dtype = np.result_type("float32", *(_dtype(row.variables) for row in rows))
        self._spool = Spool(edges[-1], dtype)

    @property
    def relative_errors(self) -> np.ndarray:
        """The relative standard error of a distance between two snapshots, for each layer."""
        return np.array([s.relative_error if self.sketched else 0.0 for s in self.sketches])

    def keep(self, place: int, vector: np.ndarray) -> Any:
        """Returns the snapshot of a layer whose parameters are `vector`."""
        if self.sketched:
            return self.sketches[place](vector)
        return on_device(self.rows[place]) if self.on_device else vector

    def put_aside(self, record: dict[str, Any]) -> None:
        """Moves a record's sketches to where they do not fill the memory."""
        names = [kept(place) for place in range(len(self.rows))]
        row = np.concatenate([record[name] for name in names])
        at = len(self._spool)
        self._spool.append(row[None])
        for name, columns in zip(names, self._columns, strict=True):
            record[name] = Spooled(self._spool, (at, columns))

    def now(self, place: int) -> np.ndarray:
        """Returns a snapshot of the layer's current parameters, on the host."""
        if self.sketched and self.on_device:
            return on_host(self.sketches[place].on_device(on_device(self.rows[place])))
        vector = parameter_vector(self.rows[place].variables)
        return self.sketches[place](vector) if self.sketched else vector

    def check_budget(self, records: int) -> None:
        """Checks, before training, that the records will fit into the budget.

        Args:
            records: The number of records.

        Raises:
            ValueError: If that many whole records take more than the budget.
        """
        needed = records * self.record_bytes
        if self.sketched or needed <= self.budget:
            return
        sketched = 4 * records * sum(min(row.parameters, self._buckets) for row in self.rows)
        raise ValueError(
            f"{records:,} exact records of {self.record_bytes / 2**20:,.3f} MiB take "
            f"{needed / _GIB:,.3f} GiB, over the budget of {self.budget / _GIB:,.3f} GiB. Use "
            f"memory='sketch' ({sketched / _GIB:,.3f} GiB, distances within about "
            f"{max(s.relative_error for s in self.sketches):.1%}), a larger `every`, fewer "
            "`layers`, or a larger `budget`."
        )

    def have_room(self, records: Sequence[dict[str, Any]]) -> bool:
        """Returns whether one more record fits into the budget."""
        return self.sketched or (len(records) + 1) * self.record_bytes <= self.budget

    def sketch_for_room(self, records: Sequence[dict[str, Any]]) -> None:
        """Turns whole records into sketches, because they fill the budget."""
        warnings.warn(
            f"{len(records):,} exact records fill the budget of {self.budget / _GIB:,.3f} GiB. "
            f"They are now reduced to sketches of {self._buckets:,} numbers a layer.",
            stacklevel=2,
        )
        self.sketch(records)

    def sketch(self, records: Iterable[dict[str, Any]]) -> None:
        """Reduces these records to sketches, and keeps only sketches from now on."""
        self.sketched = True
        for record in records:
            for place, sketch in enumerate(self.sketches):
                vector = on_host(record[kept(place)])
                if len(vector) == sketch.size:
                    record[kept(place)] = sketch(vector)

    def are_whole(self, record: dict[str, Any]) -> bool:
        """Returns whether a record holds all parameters of each layer."""
        return all(len(record[kept(place)]) == s.size for place, s in enumerate(self.sketches))


@functools.cache  # so that all records share one text
def kept(place: int) -> str:
    """Returns the name under which a record holds the snapshot of a layer."""
    return f"kept/{place}"


def parameter_vector(variables: Sequence[Any]) -> np.ndarray:
    """Returns variables as one vector on the host.

    The vector is in double precision if a variable is, otherwise in single precision.
    """
    values = [ops.on_host(variable).ravel() for variable in variables]
    dtype = np.result_type("float32", *{value.dtype for value in values})
    return np.concatenate(values, dtype=dtype, casting="unsafe")


def kernel_slices(row: TrackedLayer) -> list[slice]:
    """Returns the slices of a layer's parameter vector that hold kernels.

    A kernel is a variable of rank two or more.
    """
    slices = []
    start = 0
    for variable in row.variables:
        stop = start + _size(variable)
        if len(variable.shape) >= 2:
            slices.append(slice(start, stop))
        start = stop
    return slices


def on_host(snapshot: Any) -> np.ndarray:
    """Returns a snapshot as a NumPy array, wherever it was kept."""
    if isinstance(snapshot, (np.ndarray, Spooled)):
        return np.asarray(snapshot)
    return keras.ops.convert_to_numpy(snapshot)


def on_device(row: TrackedLayer) -> Any:
    """Returns a copy of a layer's parameters on the device, as one vector."""
    dtype = _dtype(row.variables).name
    parts = [keras.ops.cast(keras.ops.ravel(v), dtype) for v in row.variables]
    # The copy must have its own memory, because the next step on JAX reuses that of the weights.
    return keras.ops.copy(keras.ops.stop_gradient(keras.ops.concatenate(parts)))


def _dtype(variables: Sequence[Any]) -> np.dtype:
    return np.dtype("float64" if any(v.dtype == "float64" for v in variables) else "float32")


def _size(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))
