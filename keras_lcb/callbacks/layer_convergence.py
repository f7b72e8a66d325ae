"""The `LayerConvergence` callback: how far each layer is from where it converges."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.callbacks.lora import has_lora
from keras_lcb.callbacks.recorder import LOCK, Record, Recorder
from keras_lcb.callbacks.reference import load_reference
from keras_lcb.callbacks.snapshots import Snapshots, kept, on_host, parameter_vector
from keras_lcb.callbacks.vectors import norms
from keras_lcb.callbacks.ways import Ways
from keras_lcb.training.selection import LayerSelection


class LayerConvergence(Recorder):
    """Records the distance of each layer to its converged parameters.

    The converged parameters are known only when training ends, so each record keeps what a
    distance can be computed from later: the weights themselves, or a sketch of them. While
    training runs, `results` measures against the newest weights and says so.

    Keras calls callbacks in the order of their list: this one belongs before those that change or
    save the weights at an epoch's end, such as `SwapEMAWeights` and `BackupAndRestore`.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        reference: The converged parameters θ*. "final": the weights right after the last update.
            "model": the weights that the model ends with, after Keras has swapped in averaged
            (`use_ema`) or restored (`EarlyStopping`) ones. Or a list of arrays, or the path of a
            `.weights.h5` or `.keras` file. Defaults to "final".
        memory: "exact" keeps the weights of each record; "sketch" keeps `buckets` numbers a
            layer. Defaults to "exact".
        layers: `None` for every layer; "blocks" for blocks, as far as names tell them; a list of
            layer names, of names of nested models, or of Keras layers, each read as one; or a
            function from a Keras layer to the name of its group, `None` to leave it out. Defaults
            to `None`.
        buckets: Length of a layer's sketch; the relative standard error of a distance is about
            1/√(2·buckets). Layers no larger are kept exactly. Defaults to 1024.
        budget: Most bytes that exact records may take. Defaults to 2 GiB.
        seed: Seed of the sketch. Defaults to 0.
        on_device: Whether exact records stay in the accelerator's memory. Defaults to `False`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.
        optimizer: The optimizer, or a list of them, that train the model, where they are no
            attributes of it. Defaults to `None`: they are found.

    Attributes:
        results: The run, an `xarray.Dataset` with `distance`, `normalized_distance`, `angle` and
            `parameter_norm` (step, layer). By other measures, so that one can see whether they
            agree: `angle_to_end`, 1 − cos between kernels now and at the end, and
            `way_from_start`, ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖. For layers with LoRA,
            `effective_distance` between the kernels that they really use; for sketches,
            `distance_standard_error`. Beside them `loss`, the mean since the previous record
            (within an epoch, a smaller last batch counts as a whole one), `validation_loss` and
            `learning_rate` (step; also over layers, where they differ). During training the newest
            weights stand in for the endpoint, and `attrs["provisional"]` is 1.

    Raises:
        ValueError: Before training, for a model that is not compiled, an unknown layer, a
            reference that does not fit, or records that will not fit into `budget`.

    A record copies the weights to the host, and `results` reads all of these copies.

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

    needs_weights = False  # it fetches them itself, where they are not at hand

    def __init__(
        self,
        every: str | int = "epoch",
        reference: str | os.PathLike[str] | Sequence[Any] = "final",
        memory: str = "exact",
        layers: LayerSelection = None,
        *,
        buckets: int = 1024,
        budget: int = 2 * 2**30,
        seed: int = 0,
        on_device: bool = False,
        backup: str | os.PathLike[str] | None = None,
        optimizer: Any = None,
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
        super().__init__(every, layers, backup, optimizer)

    def reset(self) -> None:
        """Forgets everything recorded, on disk too, so that the next `fit` begins a new run."""
        super().reset()
        self._given: list[np.ndarray | None] | None = None  # a given endpoint, one a layer
        self._snapshots: Snapshots | None = None  # where the endpoint is not given
        self._initial: list[np.ndarray] = []  # parameters at the start
        self._known_ways: Ways | None = None
        self._unrecorded: tuple[int, Record] | None = None  # at an epoch's end, with none due
        self._endpoint: list[np.ndarray] | None = None  # of reference="model"
        self._endpoint_is_late = False
        self._thread = 0

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model."""
        self._settle_endpoint()
        super().set_model(model)

    def attached(self) -> None:
        """Reads a given endpoint, or gets ready to keep weights."""
        if self._given is None and self._snapshots is None:
            if isinstance(self.reference, str) and self.reference in ("final", "model"):
                self._snapshots = Snapshots(
                    self._rows, self.memory, self.buckets, self.budget, self.seed, self.on_device
                )
            else:
                self._given = load_reference(self._model, self.reference, self._rows)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        super().on_train_begin(logs)
        self._endpoint = self._unrecorded = None
        self._thread = threading.get_ident()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due, and keeps the newest weights."""
        super().on_epoch_end(epoch, logs)
        # Averaged or restored weights are swapped in after this, before `on_train_end`.
        step = self._validated[0]
        self._unrecorded = (step, self.measure()) if step > self._last_step() else None

    # Recording.

    def _check_ahead(self, epoch: int) -> None:
        if self._snapshots is not None:
            self._snapshots.check_budget(len(self._records) + self._expected_records(epoch))

    def _expected_records(self, epoch: int) -> int:
        """How many records this `fit` is known to take."""
        params = self.params or {}
        epochs = max((params.get("epochs") or 1) - epoch, 0)
        steps = params.get("steps")
        if self.every != "epoch" and steps:
            at_once = getattr(self._model, "steps_per_execution", 1)
            due = math.ceil(epochs * steps / self._updates.steps_per_update / int(self.every))
            expected = min(due, epochs * math.ceil(steps / at_once))
        else:
            expected = epochs
        return expected if self._records else 1 + expected

    def _take(self, step: int) -> None:
        if self._snapshots is not None:
            with LOCK:
                unrecorded = [self._unrecorded[1]] if self._unrecorded else []
                if not self._snapshots.have_room(self._records):
                    self._describe([*self._records, *unrecorded])
                    self._snapshots.sketch_for_room([*self._records, *unrecorded])
        super()._take(step)
        self._unrecorded = None

    def measure(self) -> Record:
        """Keeps the weights, or what follows from them."""
        if self._unrecorded is not None and self._unrecorded[0] == self._updates.now():
            return self._unrecorded[1]
        internals.sync_state(self._model)
        if self._initial and self._snapshots is not None and self._snapshots.stay_on_device:
            return {
                kept(place): self._snapshots.of_device(place) for place in range(len(self._rows))
            }
        vectors = [parameter_vector(row.variables) for row in self._rows]
        if not self._initial:
            self._initial = vectors
        if self._snapshots is None:
            assert self._given is not None
            known = self._ways.from_start(vectors)
            to_end = self._ways.to_end(vectors, known, self._given, self._lengths(self._given))
            effective = self._ways.effective(vectors, self._given)
            return known | to_end | {"effective_distance": effective}
        keep = self._snapshots.keep
        record: Record = {kept(place): keep(place, vector) for place, vector in enumerate(vectors)}
        # What is kept whole is described when the run is asked for, since that takes time.
        return record | self._ways.from_start(vectors) if self._snapshots.sketched else record

    @property
    def _ways(self) -> Ways:
        if self._known_ways is None:
            self._known_ways = Ways(self._rows, self._initial)
        return self._known_ways

    def _describe(self, records: Sequence[Record]) -> None:
        """Adds to whole records what does not depend on the end, where they lack it."""
        for record in records:
            if "parameter_norm" not in record:
                record |= self._ways.from_start(self._kept_in(record))

    def _kept_in(self, record: Record) -> list[np.ndarray]:
        return [on_host(record[kept(place)]) for place in range(len(self._rows))]

    def _lengths(self, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """How long each layer's way from its start to its end is."""
        lengths = self._ways.lengths(ends)
        if self._snapshots is not None and self.reference == "final" and self._ended:
            newest = self._unrecorded[1] if self._unrecorded else self._records[-1]
            known = newest.get("distance_from_start", lengths)  # where sketches do not tell
            lengths = np.where(np.isnan(lengths), known, lengths)
        return lengths

    # The run.

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        over = ("step", "layer")
        self._describe(self._records)
        columns = {name: self._stacked(name) for name in ("parameter_norm", "angle")}
        columns |= self._columns_to_end()
        distances = columns["distance"]
        with np.errstate(divide="ignore", invalid="ignore"):
            normalized = np.where(distances[0] > 0, distances / distances[0], math.nan)
        columns["normalized_distance"] = normalized
        if self._snapshots is not None and self._snapshots.sketched:
            errors = distances * self._snapshots.relative_errors
            columns["distance_standard_error"] = errors
        if not any(map(has_lora, self._rows)):
            del columns["effective_distance"]
        self._explain(columns)
        order = ("distance", "normalized_distance")
        names = [*order, *(name for name in columns if name not in order)]
        return {name: (over, columns[name]) for name in names}

    def _stacked(self, name: str) -> np.ndarray:
        return np.stack([record[name] for record in self._records])

    def _columns_to_end(self) -> dict[str, np.ndarray]:
        """Distances and angles of all records to the end, and how much of the way is done."""
        names = ("distance", "angle_to_end", "way_from_start", "effective_distance")
        if self._snapshots is None:
            return {name: self._stacked(name) for name in names}
        ends = self._where_it_ends()
        lengths = self._lengths(ends)
        found = []
        for record in self._records:
            vectors = self._kept_in(record)
            to_end = self._ways.to_end(vectors, record, ends, lengths)
            found.append(to_end | {"effective_distance": self._ways.effective(vectors, ends)})
        return {name: np.stack([each[name] for each in found]) for name in names}

    def _where_it_ends(self) -> list[np.ndarray]:
        """The endpoint, or the newest weights while there is none."""
        if self._ended and self.reference == "model":
            self._settle_endpoint()
            assert self._endpoint is not None
            return self._endpoint
        # While a step runs, only its own thread may read the weights.
        if self._ended or (self._training and threading.get_ident() != self._thread):
            newest = self._unrecorded[1] if self._unrecorded else self._records[-1]
            return [on_host(newest[kept(place)]) for place in range(len(self._rows))]
        return self._now()

    def _settle_endpoint(self) -> None:
        """Notes what the model ended with, before anything trains it further."""
        if self.reference == "model" and self._ended and self._endpoint is None:
            self._endpoint = self._now()
            self._endpoint_is_late = self._updates.now() > self._last_step()

    def _now(self) -> list[np.ndarray]:
        assert self._snapshots is not None
        self.model  # noqa: B018  on JAX, this brings the state back into its variables
        return [self._snapshots.now(place) for place in range(len(self._rows))]

    def attributes(self) -> dict[str, Any]:
        """Returns the endpoint, and when weights were first not finite."""
        finite = np.isfinite(self._stacked("parameter_norm")).all(axis=1)
        first = -1 if finite.all() else self._records[int(np.argmin(finite))]["step"]
        given = self.reference if isinstance(self.reference, (str, os.PathLike)) else "arrays"
        return {"reference": os.fspath(given), "first_nonfinite_update": first}

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        sketched = self._snapshots is not None and self._snapshots.sketched
        return {
            **super().settings(),
            "memory": "sketch" if sketched else self.memory,
            "buckets": self.buckets,
            "seed": self.seed,
        }

    def _explain(self, columns: dict[str, np.ndarray]) -> None:
        self._missing = {}
        sketched = self._snapshots is not None and self._snapshots.sketched
        for place, row in enumerate(self._rows):
            why_no_angle = self._ways.why_no_angle(place)
            if why_no_angle:
                self._missing |= {
                    f"{name}/{row.name}": why_no_angle for name in ("angle", "angle_to_end")
                }
            elif sketched and np.isnan(columns["angle_to_end"][:, place]).all():
                self._missing[f"angle_to_end/{row.name}"] = (
                    "Sketches do not tell kernels from other parameters: use memory='exact'."
                )
            if has_lora(row) and np.isnan(columns["effective_distance"][:, place]).all():
                self._missing[f"effective_distance/{row.name}"] = (
                    "The parameters of the records are not kept whole: use memory='exact'."
                )
            if self._given is not None and self._given[place] is None:
                self._missing[f"distance/{row.name}"] = "The reference does not hold this layer."
            elif not np.isfinite(columns["distance"][0, place]):
                self._missing[f"distance/{row.name}"] = (
                    "The layer's endpoint, or its start, is not finite. The weights of an earlier "
                    "moment, given as `reference`, can serve as the endpoint."
                )
            elif columns["distance"][0, place] == 0:
                why = self._why_no_way()
                self._missing |= {
                    f"{name}/{row.name}": why for name in ("normalized_distance", "way_from_start")
                }
        if self.reference == "model" and self._endpoint_is_late:
            self._missing["reference"] = (
                "The model was trained further before its weights were read as the endpoint."
            )
        elif self.reference == "final" and self._ended and self._ends_elsewhere():
            self._missing["reference"] = (
                "The model's weights now differ from the endpoint: averaged or restored ones were "
                "swapped in, or it was trained further. reference='model' measures against what "
                "the model has right after `fit`."
            )

    def _why_no_way(self) -> str:
        """Says why a layer's distance is zero at the start."""
        if len(self._records) == 1:
            return "No update was recorded, so the run has no end to compare its start with."
        if self._ended:
            return "The layer starts at its endpoint: it never moved."
        return "The layer has not moved yet."

    def _ends_elsewhere(self) -> bool:
        return not all(
            np.array_equal(now, end, equal_nan=True)
            for now, end in zip(self._now(), self._where_it_ends(), strict=True)
        )

    # Backup.

    def _keep(self, record: Record) -> None:
        if record is self._records[0] and not self._holds_initial():
            initial = {f"initial/{place}": vector for place, vector in enumerate(self._initial)}
            record = record | initial
        super()._keep(record)

    def _holds_initial(self) -> bool:
        """Whether the first record's snapshots are the initial parameters themselves."""
        return self._snapshots is not None and not self._snapshots.sketched

    def _identity(self) -> dict[str, Any]:
        given = [None if v is None else norms(v)[0] for v in self._given] if self._given else None
        return {**super()._identity(), "memory": self.memory, "given": given}

    def _stands_at(self, record: Record, step: int) -> bool:
        now = [norms(parameter_vector(row.variables))[0] for row in self._rows]
        then = record.get("parameter_norm")
        if then is None:
            then = [norms(vector)[0] for vector in self._kept_in(record)]
        return bool(np.allclose(now, then, rtol=1e-5, equal_nan=True)) or record["step"] < step

    def _restored(self, records: list[Record]) -> None:
        first = records[0]
        names = [f"initial/{place}" for place in range(len(self._rows))]
        if names[0] in first:
            self._initial = [first.pop(name) for name in names]
        else:
            self._initial = [first[kept(place)] for place in range(len(self._rows))]
        self._known_ways = None
        if self._snapshots is not None and not all(map(self._snapshots.are_whole, records)):
            self._describe([record for record in records if self._snapshots.are_whole(record)])
            self._snapshots.sketch(records)
