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
        self._names = [kept(place) for place in range(len(rows))]
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
        self._all_columns = slice(0, edges[-1])
        dtype = np.result_type("float32", *(_dtype(row.variables) for row in rows))
        self._spool = Spool(edges[-1], dtype)

    @property
    def relative_errors(self) -> np.ndarray:
        """The relative standard error of a distance between two snapshots, for each layer."""
        return np.array([s.relative_error if self.sketched else 0.0 for s in self.sketches])

    def keep(self, joined: np.ndarray | None, vectors: Sequence[np.ndarray]) -> dict[str, Any]:
        """Returns the entries of a record that hold the snapshots of all layers.

        Args:
            joined: The parameters of all layers, from `parameter_vectors`.
            vectors: The parameters of each layer, from there, too.
        """
        if self.on_device and not self.sketched:
            return self.on_device_now()
        entries = dict(zip(self._names, self._snapshots_of(vectors), strict=True))
        return entries if self.sketched or joined is None else entries | {JOINED: joined}

    def _snapshots_of(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
        if not self.sketched:
            return list(vectors)
        return [sketch(own) for sketch, own in zip(self.sketches, vectors, strict=True)]

    def put_aside(self, record: dict[str, Any]) -> None:
        """Moves a record's sketches to where they do not fill the memory."""
        row = np.concatenate([record[name] for name in self._names])
        at = len(self._spool)
        self._spool.append(row[None])
        for name, columns in zip(self._names, self._columns, strict=True):
            record[name] = Spooled(self._spool, (at, columns))
        record[JOINED] = Spooled(self._spool, (at, self._all_columns))

    def on_host(self, records: Sequence[dict[str, Any]]) -> list[list[np.ndarray]]:
        """Returns, for each record, the snapshots of all layers: as one array if it was kept."""
        if all(JOINED in record for record in records):
            return [[np.asarray(record[JOINED])] for record in records]
        return [[on_host(record[name]) for name in self._names] for record in records]

    def on_device_now(self) -> dict[str, Any]:
        """Returns the entries of a record that hold copies of all parameters on the device."""
        return dict(zip(self._names, map(on_device, self.rows), strict=True))

    def now(self) -> list[np.ndarray]:
        """Returns a snapshot of each layer as it is now, as arrays on the host."""
        if self.sketched and self.on_device:
            pairs = zip(self.sketches, self.rows, strict=True)
            return [on_host(sketch.on_device(on_device(row))) for sketch, row in pairs]
        return self._snapshots_of(parameter_vectors(self.rows)[1])

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
        """Reduces these records to sketches, puts them aside, and keeps only sketches from now on.

        The sketch of a small layer is a part of the array that holds all parameters of a record.
        If it was not put aside, it would keep this array in memory.
        """
        self.sketched = True
        for record in records:
            record.pop(JOINED, None)
            for place, sketch in enumerate(self.sketches):
                vector = on_host(record[kept(place)])
                if len(vector) == sketch.size:
                    record[kept(place)] = sketch(vector)
            self.put_aside(record)

    def are_whole(self, record: dict[str, Any]) -> bool:
        """Returns whether a record holds all parameters of each layer."""
        return all(len(record[kept(place)]) == s.size for place, s in enumerate(self.sketches))


# The name under which a record holds the snapshots of all layers in one array, of which those of
# each layer are parts, so that they can be read at once.
JOINED = "kept"


@functools.cache  # so that all records share one text
def kept(place: int) -> str:
    """Returns the name under which a record holds the snapshot of a layer."""
    return f"kept/{place}"


def parameter_vector(variables: Sequence[Any]) -> np.ndarray:
    """Returns variables as one vector on the host.

    The vector is in double precision if a variable is, otherwise in single precision.
    """
    found = np.empty(sum(map(_size, variables)), _dtype(variables))
    start = 0
    for variable in variables:  # one after the other, so that no second copy of all fills memory
        stop = start + _size(variable)
        found[start:stop] = ops.on_host(variable).ravel()
        start = stop
    return found


def parameter_vectors(
    rows: Sequence[TrackedLayer],
) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """Returns the parameters of all layers on the host.

    Returns:
        The parameters of all layers in one array, and the parts of this array that belong to each
        layer. If the layers have different types, there is no such array, and the first value is
        `None`.
    """
    if len({_dtype(row.variables) for row in rows}) > 1:
        return None, [parameter_vector(row.variables) for row in rows]
    joined = parameter_vector([variable for row in rows for variable in row.variables])
    edges = [0, *itertools.accumulate(row.parameters for row in rows)]
    return joined, [joined[start:stop] for start, stop in itertools.pairwise(edges)]


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
