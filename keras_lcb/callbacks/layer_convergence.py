"""The `LayerConvergence` callback: how far each layer is from where it converges."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.callbacks.reference import load_reference
from keras_lcb.callbacks.sketch import CountSketch
from keras_lcb.training.layers import LayerSelection, TrackedLayer

_GIB = 2**30


class LayerConvergence(Recorder):
    """Records the distance of each layer to its converged parameters.

    The converged parameters are known only when training ends, so each record keeps what a
    distance can be computed from later: the weights themselves, or a sketch of them. While
    training runs, `results` measures against the newest weights and says so.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        reference: The converged parameters θ*. "final": the weights right after the last update.
            "model": the weights that the model ends with, after Keras has swapped in averaged
            (`use_ema`) or restored (`EarlyStopping`) ones. Or a list of arrays, or the path of a
            `.weights.h5` or `.keras` file. Defaults to "final".
        memory: "exact" keeps the weights of each record; "sketch" keeps `buckets` numbers a
            layer. Defaults to "exact".
        layers: `None` for every layer; a list of layer names, or prefixes that read all layers
            below as one; or a function from a Keras layer to the name of its group, `None` to
            leave it out. Defaults to `None`.
        buckets: Length of a layer's sketch; the relative standard error of a distance is about
            1/√(2·buckets). Layers no larger are kept exactly. Defaults to 1024.
        budget: Most bytes that exact records may take. Defaults to 2 GiB.
        seed: Seed of the sketch. Defaults to 0.
        on_device: Whether exact records stay in the accelerator's memory. Defaults to `False`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.

    Attributes:
        results: The run, an `xarray.Dataset` with `distance`, `normalized_distance`, `angle` and
            `parameter_norm` (step, layer), and `distance_standard_error` for sketches.

    Raises:
        ValueError: Before training, for a model that is not built or compiled, an unknown layer,
            a reference that does not fit, or records that will not fit into `budget`.

    Reference: Chen, Yuille & Zhou (2023), "Which Layer is Learning Faster?", Definition 2.1.

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> convergence = LayerConvergence()
    >>> x, y = np.ones((8, 2)), np.zeros((8, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[convergence])
    >>> distances = convergence.results.normalized_distance.sel(layer="lin").values
    >>> float(distances[0]), float(distances[-1])
    (1.0, 0.0)
    """

    def __init__(
        self,
        every: str | int = "epoch",
        reference: str | os.PathLike[str] | Sequence[Any] = "final",
        memory: str = "exact",
        layers: LayerSelection = None,
        *,
        buckets: int = 1024,
        budget: int = 2 * _GIB,
        seed: int = 0,
        on_device: bool = False,
        backup: str | os.PathLike[str] | None = None,
    ) -> None:
        if memory not in ("exact", "sketch"):
            raise ValueError(f"`memory` is 'exact' or 'sketch'; received {memory!r}.")
        if buckets < 1:
            raise ValueError(f"`buckets` is 1 or more; received {buckets}.")
        if on_device and memory == "sketch":
            raise ValueError("Sketches are made on the host: use memory='exact' with on_device.")
        self.reference = reference
        self.memory = memory
        self.buckets = buckets
        self.budget = budget
        self.seed = seed
        self.on_device = on_device
        super().__init__(every, layers, backup)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._given: dict[int, np.ndarray] | None = None
        self._sketches: list[CountSketch] | None = None
        self._initial: list[np.ndarray] = []  # kernels at the start, for the angle
        self._newest: Record | None = None
        self._endpoint: list[np.ndarray] | None = None  # of reference="model"

    # Keras' hooks.

    def _follow(self, model: keras.Model, optimizer: Any) -> None:
        self._settle_endpoint()
        super()._follow(model, optimizer)
        if self._given is None and self.reference not in ("final", "model"):
            self._given = load_reference(model, self.reference)
            self._check_given()
        if self.memory == "sketch" and self._sketches is None:
            self._use_sketches()

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuses records that will not fit into the budget."""
        super().on_train_begin(logs)
        self._endpoint = None
        self._check_budget()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due, and keeps the newest weights."""
        super().on_epoch_end(epoch, logs)
        # Averaged or restored weights are swapped in after this, before `on_train_end`.
        step = self._step()
        if self._records[-1]["step"] < step:
            self._newest = {"step": step, **self._measure()}

    def _finish(self) -> None:
        if self._newest is not None and self._newest["step"] == self._step():
            if self._newest["step"] > self._records[-1]["step"]:
                self._take(self._step())
                self._records[-1] |= self._newest
                self._keep(self._records[-1])
        self._newest = None
        super()._finish()

    # Recording.

    def _measure(self) -> Record:
        weights = [[_host(v) for v in row.variables] for row in self._rows]
        if not self._initial:
            self._initial = [_kernels(row, w) for row, w in zip(self._rows, weights, strict=True)]
        vectors = [_flat(w) for w in weights]
        record: Record = {
            "parameter_norm": np.array([_norm(vector) for vector in vectors]),
            "angle": np.array(
                [
                    _angle(_kernels(row, w), start)
                    for row, w, start in zip(self._rows, weights, self._initial, strict=True)
                ]
            ),
        }
        if self._given is not None:
            record["distance"] = np.array(
                [
                    _norm(vector - self._given_vector(row)) if self._has_given(row) else math.nan
                    for row, vector in zip(self._rows, vectors, strict=True)
                ]
            )
            return record
        record |= {f"kept/{place}": kept for place, kept in enumerate(self._kept(vectors))}
        return record

    def _kept(self, vectors: list[np.ndarray]) -> list[Any]:
        """What a record keeps of each layer's parameters."""
        if self._sketches is not None:
            return [sketch(v) for sketch, v in zip(self._sketches, vectors, strict=True)]
        if self.on_device:
            return [_on_device(row) for row in self._rows]
        return vectors

    def _take(self, step: int) -> None:
        self._stay_within_budget()
        super()._take(step)

    # Memory.

    def _record_bytes(self) -> int:
        return sum(
            row.parameters * np.dtype(_numpy_dtype(row.variables[0])).itemsize for row in self._rows
        )

    def _check_budget(self) -> None:
        """Refuses, before training, exact records that are sure not to fit."""
        if self._sketches is not None or self._given is not None:
            return
        expected = self._expected_records() + len(self._records)
        needed = expected * self._record_bytes()
        if needed > self.budget:
            sketched = sum(min(row.parameters, self.buckets) * 4 for row in self._rows) * expected
            raise ValueError(
                f"{expected} exact records of {self._record_bytes() / 2**20:,.1f} MiB take "
                f"{needed / _GIB:,.2f} GiB, over the budget of {self.budget / _GIB:,.2f} GiB. Use "
                f"memory='sketch' ({sketched / _GIB:,.3f} GiB, distances within about "
                f"{1 / math.sqrt(2 * self.buckets):.1%}), a larger `every`, fewer `layers`, or a "
                "larger `budget`."
            )

    def _expected_records(self) -> int:
        params = self.params or {}
        epochs, steps = params.get("epochs") or 1, params.get("steps")
        if self.every == "epoch":
            return 1 + epochs
        return 1 + (epochs * steps // int(self.every) + 1 if steps else epochs)

    def _stay_within_budget(self) -> None:
        """Goes over to sketches when more exact records than foreseen fill the budget."""
        if self._sketches is not None or self._given is not None:
            return
        if (len(self._records) + 1) * self._record_bytes() <= self.budget or not self._records:
            return
        warnings.warn(
            f"{len(self._records)} exact records fill the budget of {self.budget / _GIB:,.2f} GiB: "
            f"they are kept as sketches of {self.buckets} numbers a layer from now on.",
            stacklevel=2,
        )
        sketches = self._use_sketches()
        for record in [*self._records, *([self._newest] if self._newest else [])]:
            for place, sketch in enumerate(sketches):
                record[f"kept/{place}"] = sketch(_vector(record[f"kept/{place}"]))

    def _use_sketches(self) -> list[CountSketch]:
        self._sketches = [
            CountSketch(row.parameters, self.buckets, [self.seed, place])
            for place, row in enumerate(self._rows)
        ]
        return self._sketches

    # Given endpoints.

    def _has_given(self, row: TrackedLayer) -> bool:
        assert self._given is not None
        return all(id(v) in self._given for v in row.variables)

    def _given_vector(self, row: TrackedLayer) -> np.ndarray:
        assert self._given is not None
        return _flat([self._given[id(v)] for v in row.variables])

    def _check_given(self) -> None:
        if not any(self._has_given(row) for row in self._rows):
            raise ValueError("`reference` holds the parameters of none of the followed layers.")

    # The run.

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        self._missing = {}
        distance, error = self._distances()
        with np.errstate(divide="ignore", invalid="ignore"):
            normalized = np.where(distance[0] > 0, distance / distance[0], math.nan)
        self._explain_missing(distance)
        dims = ("step", "layer")
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            "distance": (dims, distance),
            "normalized_distance": (dims, normalized),
            "angle": (dims, np.stack([record["angle"] for record in self._records])),
            "parameter_norm": (
                dims,
                np.stack([record["parameter_norm"] for record in self._records]),
            ),
        }
        if self._sketches is not None:
            variables["distance_standard_error"] = (dims, error)
        return variables

    def _distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Distances of all records to the endpoint, and their standard errors."""
        if self._given is not None:
            distance = np.stack([record["distance"] for record in self._records])
            return distance, np.zeros_like(distance)
        endpoint = self._endpoint_kept()
        distance = np.array(
            [
                [
                    _norm(_vector(record[f"kept/{place}"]) - end)
                    for place, end in enumerate(endpoint)
                ]
                for record in self._records
            ]
        )
        relative = [0.0] * len(self._rows)
        if self._sketches is not None:
            relative = [sketch.relative_error for sketch in self._sketches]
        return distance, distance * np.array(relative)

    def _endpoint_kept(self) -> list[np.ndarray]:
        if not self._ended:
            return self._kept_now()
        if self.reference == "model":
            self._settle_endpoint()
            assert self._endpoint is not None
            return self._endpoint
        last = self._records[-1]
        return [_vector(last[f"kept/{place}"]) for place in range(len(self._rows))]

    def _settle_endpoint(self) -> None:
        """Notes what the model ended with, before anything trains it further."""
        if self.reference == "model" and self._ended and self._endpoint is None:
            self._endpoint = self._kept_now()

    def _kept_now(self) -> list[np.ndarray]:
        self.model  # noqa: B018  on JAX, this brings the state back into its variables
        vectors = [_flat([_host(v) for v in row.variables]) for row in self._rows]
        if self._sketches is not None:
            return [sketch(v) for sketch, v in zip(self._sketches, vectors, strict=True)]
        return vectors

    def _attributes(self) -> dict[str, Any]:
        norms = np.stack([record["parameter_norm"] for record in self._records])
        bad = np.flatnonzero(~np.isfinite(norms).all(axis=1))
        first = self._records[bad[0]]["step"] if len(bad) else -1
        given = self.reference if isinstance(self.reference, (str, os.PathLike)) else "arrays"
        return {"reference": os.fspath(given), "first_nonfinite_update": first}

    def _settings(self) -> dict[str, Any]:
        return {
            **super()._settings(),
            "memory": self.memory,
            "buckets": self.buckets,
            "seed": self.seed,
        }

    def _explain_missing(self, distance: np.ndarray) -> None:
        for place, row in enumerate(self._rows):
            if not self._initial[place].size:
                self._missing[f"angle/{row.name}"] = "The layer has no kernel to compare."
            if self._given is not None and not self._has_given(row):
                self._missing[f"distance/{row.name}"] = "The reference does not hold this layer."
            elif distance[0, place] == 0:
                self._missing[f"normalized_distance/{row.name}"] = (
                    "The layer stands at its endpoint from the start: it never moved."
                    if self._ended
                    else "The layer has not moved yet."
                )
        if self._ended and self.reference == "final" and self._moved_since():
            self._missing["reference"] = (
                "The model's weights now differ from the endpoint: averaged or restored ones were "
                "swapped in, or it was trained further. reference='model' measures against what "
                "the model ends with."
            )

    def _moved_since(self) -> bool:
        last = self._records[-1]
        return any(
            not np.array_equal(now, _vector(last[f"kept/{place}"]), equal_nan=True)
            for place, now in enumerate(self._kept_now())
        )

    # Backup.

    def _keep(self, record: Record) -> None:
        if self._store is not None and record is self._records[0]:
            start = {f"initial/{place}": kernels for place, kernels in enumerate(self._initial)}
            super()._keep(record | start)
        else:
            super()._keep(record)

    def _starts_as(self, record: Record) -> bool:
        kernels = [_kernels(row, [_host(v) for v in row.variables]) for row in self._rows]
        return all(
            np.array_equal(record[f"initial/{place}"], now) for place, now in enumerate(kernels)
        )

    def _restored(self, records: list[Record]) -> None:
        self._initial = [
            np.atleast_1d(records[0].pop(f"initial/{place}")) for place in range(len(self._rows))
        ]


def _numpy_dtype(variable: Any) -> str:
    return "float64" if variable.dtype == "float64" else "float32"


def _host(variable: Any) -> np.ndarray:
    value = keras.ops.convert_to_numpy(variable)
    return value if value.dtype == np.float64 else value.astype(np.float32, copy=False)


def _on_device(row: TrackedLayer) -> list[Any]:
    return [keras.ops.copy(keras.ops.convert_to_tensor(v)) for v in row.variables]


def _vector(kept: Any) -> np.ndarray:
    """A record's parameters of one layer as a vector on the host."""
    return _flat([_host(tensor) for tensor in kept]) if isinstance(kept, list) else kept


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])


def _kernels(row: TrackedLayer, weights: list[np.ndarray]) -> np.ndarray:
    kernels = [w for v, w in zip(row.variables, weights, strict=True) if len(v.shape) >= 2]
    return _flat(kernels) if kernels else np.zeros(0, np.float32)


def _norm(vector: np.ndarray) -> float:
    return math.sqrt(_dot(vector, vector))


def _dot(a: np.ndarray, b: np.ndarray, chunk: int = 1 << 20) -> float:
    """Inner product in double precision, without a double-precision copy of the whole."""
    return sum(
        float(np.dot(a[i : i + chunk].astype(np.float64), b[i : i + chunk].astype(np.float64)))
        for i in range(0, len(a), chunk)
    )


def _angle(now: np.ndarray, start: np.ndarray) -> float:
    """1 − cos between two vectors, exact for small angles; NaN where there is none.

    Source: Carbonnelle & De Vleeschouwer (2019), "Layer rotation". For unit vectors u and v,
    1 − u·v = ‖u − v‖²/2, which does not cancel.
    """
    lengths = _norm(now), _norm(start)
    if not now.size or not all(0 < length < math.inf for length in lengths):
        return math.nan
    gap = now.astype(np.float64) / lengths[0] - start.astype(np.float64) / lengths[1]
    return float(np.dot(gap, gap)) / 2
