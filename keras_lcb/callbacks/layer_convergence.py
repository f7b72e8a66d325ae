"""The `LayerConvergence` callback: how far each layer is from where it converges."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.callbacks.device_sketches import DeviceSketches
from keras_lcb.callbacks.lora import has_lora
from keras_lcb.callbacks.missing_distances import why_missing
from keras_lcb.callbacks.order import callbacks_before
from keras_lcb.callbacks.recorder import LOCK, Record, Recorder
from keras_lcb.callbacks.reference import load_reference
from keras_lcb.callbacks.snapshots import (
    JOINED,
    Snapshots,
    kept,
    on_device,
    on_host,
    parameter_vectors,
)
from keras_lcb.callbacks.ways import Ways
from keras_lcb.callbacks.weight_distances import norms
from keras_lcb.training.selection import LayerSelection


class LayerConvergence(Recorder):
    """Records the distance of each layer to its converged parameters.

    The converged parameters are known only when training ends. Therefore each record keeps the
    weights, or a sketch of them, and the distances are computed later. While training runs,
    `results` measures against the newest weights and marks the run as provisional.

    Keras calls callbacks in the order of their list. Put this one before those that change or
    save the weights at the end of an epoch, such as `SwapEMAWeights` and `BackupAndRestore`.

    Args:
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        reference: The converged parameters θ*. "final" takes the weights right after the last
            update. "model" takes the weights that the model holds after `fit`, which may be
            averaged (`use_ema`) or restored (`EarlyStopping`) ones. A list of arrays, or the path
            of a `.weights.h5` or `.keras` file, gives them directly. Defaults to "final".
        memory: "exact" keeps all weights at each record; "sketch" keeps `buckets` numbers for
            each layer. Defaults to "exact".
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.
        buckets: Length of a layer's sketch. The relative standard error of a distance is about
            1/√(2·buckets). Layers with no more parameters than this are kept exactly. Defaults to
            1024.
        budget: The most memory, in bytes, that exact records may take. If they fill it because
            there are more of them than could be foreseen (as after validations within `every`
            updates), they are reduced to sketches, with a warning. Defaults to 2 GiB.
        seed: Random seed of the sketches. Defaults to 0.
        on_device: Whether exact records stay in the accelerator's memory. With memory="sketch",
            whether sketches are made there, so that no weights are copied to the host; this takes
            room for a copy of the initial weights. Defaults to `False`.
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run. Defaults to `None`: nothing is written.
        optimizer: The optimizer that trains the model, or a list of optimizers. Needed only if
            they are not attributes of the model. Defaults to `None`: they are found there.

    Attributes:
        results: The run, an `xarray.Dataset` with `distance`, `normalized_distance`, `angle` and
            `parameter_norm` (step, layer). Two other measures of progress show whether the finding
            depends on the measure: `angle_to_end`, 1 − cos of the angle between the kernels now
            and at the end, and `way_from_start`, ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖. Layers with LoRA
            have an `effective_distance` between the kernels that they compute with. Sketches have
            a `distance_standard_error`. The run also holds `loss`, the mean over the samples since
            the previous record (on several devices over the batches; if a `train_step` of your own
            reports the loss of its batch and no mean, that of the last batch), `validation_loss`,
            and `learning_rate` (step, or step and layer if layers differ). During training,
            distances are measured to the newest weights, and `attrs["provisional"]` is 1.

    Raises:
        ValueError: Before training, if the model is not compiled, a layer is unknown, the
            reference does not fit the model, or the records will not fit into `budget`.

    Cost: each record copies the weights to the host, unless `on_device` is set, and `results` reads
    all copies.

    Reference: Chen, Yuille & Zhou (2023), "Which Layer is Learning Faster?", Definition 2.1.

    Example:
    >>> import keras
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

    needs_weights = False  # `measure` brings them back itself, if it has to

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
            raise ValueError(f"`memory` must be 'exact' or 'sketch'; received {memory!r}.")
        if buckets < 1:
            raise ValueError(f"`buckets` must be 1 or more; received {buckets}.")
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
        self._given: list[np.ndarray | None] | None = None  # the user's endpoint of each layer
        self._snapshots: Snapshots | None = None  # used if the user gives no endpoint
        self._initial: list[Any] = []  # each layer's parameters at the start
        self._known_ways: Ways | None = None
        self._device_sketches: DeviceSketches | None = None
        # Step and measurement of the last epoch's end, if no record was due there.
        self._unrecorded: tuple[int, Record] | None = None
        self._endpoint: list[np.ndarray] | None = None  # for reference="model"
        self._endpoint_is_late = False
        self._thread = 0
        self._epochs_left = 0  # of this `fit`, at the beginning of an epoch

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model."""
        self._settle_endpoint()
        super().set_model(model)

    def attached(self) -> None:
        """Reads the endpoint that the user gave, or prepares to keep weights."""
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
        _warn_of_averages(self)
        self._endpoint = self._unrecorded = None
        self._thread = threading.get_ident()
        self._epochs_left = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet, and checks that the others have room."""
        self._epochs_left = (self.params or {}).get("epochs", epoch + 1) - epoch
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes a record if one is due, and keeps the newest weights."""
        super().on_epoch_end(epoch, logs)
        # After this and before `on_train_end`, Keras may swap in averaged or restored weights.
        step = self._validated[0]
        self._unrecorded = (step, self.measure()) if step > self._last_step() else None

    # Recording.

    def _check_ahead(self, epoch: int) -> None:
        if self._snapshots is not None:
            self._snapshots.check_budget(len(self._records) + self._expected_records())

    def _expected_records(self) -> int:
        """Returns how many records this `fit` will take, as far as Keras tells the lengths.

        It does not tell whether there will be validations.
        """
        now = self._updates.now()
        first = not self._records or now > self._last_step()
        epochs, steps = self._epochs_left, (self.params or {}).get("steps")
        if self.every == "epoch" or not steps:
            return first + epochs
        every, at_once = int(self.every), getattr(self._model, "steps_per_execution", 1)
        end = now + epochs * steps // self._updates.steps_per_update
        due = end // every - now // every + (end > now and end % every > 0)
        return first + min(due, epochs * math.ceil(steps / at_once))

    def _take(self, step: int) -> None:
        if self._snapshots is not None:
            with LOCK:
                unrecorded = [self._unrecorded[1]] if self._unrecorded else []
                if not self._snapshots.have_room(self._records):
                    self._describe([*self._records, *unrecorded])
                    self._snapshots.sketch_for_room([*self._records, *unrecorded])
        super()._take(step)
        self._unrecorded = None
        newest = self._records[-1]
        if self._snapshots is not None and self._snapshots.sketched and JOINED not in newest:
            self._snapshots.put_aside(newest)

    def measure(self) -> Record:
        """Keeps the weights, or computes the distances if the endpoint is already known."""
        if self._unrecorded is not None and self._unrecorded[0] == self._updates.now():
            return self._unrecorded[1]
        internals.sync_state(self._model)
        if self._snapshots is not None and self._snapshots.on_device:
            if self._snapshots.sketched:
                return self._sketched_on_device()
            if self._initial:
                return self._snapshots.on_device_now()
        joined, vectors = parameter_vectors(self._rows)
        if not self._initial:
            self._initial = vectors
        if self._snapshots is None:
            assert self._given is not None
            known = self._ways.from_start([vectors])
            lengths = self._lengths(self._given)
            to_end = self._ways.to_end([vectors], known, self._given, lengths)
            return {name: values[0] for name, values in (known | to_end).items()}
        record: Record = self._snapshots.keep(joined, vectors)
        # Norms and angles of whole weights take time, so they wait until `results` is read.
        if self._snapshots.sketched:
            known = self._ways.from_start([vectors])
            record |= {name: values[0] for name, values in known.items()}
        return record

    def _sketched_on_device(self) -> Record:
        assert self._snapshots is not None
        if not self._initial:
            self._initial = [on_device(row) for row in self._rows]
        if self._device_sketches is None:
            self._device_sketches = DeviceSketches(
                self._rows, self._snapshots.sketches, self._initial
            )
        sketches, known = self._device_sketches.measure()
        return {**{kept(place): sketch for place, sketch in enumerate(sketches)}, **known}

    @property
    def _ways(self) -> Ways:
        if self._known_ways is None:
            self._known_ways = Ways(self._rows, self._initial)
        return self._known_ways

    def _describe(self, records: Sequence[Record]) -> None:
        """Adds norms, distances and angles from the start to records that lack them.

        The records must hold whole parameters, not sketches.
        """
        lacking = [record for record in records if "parameter_norm" not in record]
        if lacking:
            known = self._ways.from_start(self._kept_in(lacking))
            for at, record in enumerate(lacking):
                record |= {name: values[at] for name, values in known.items()}

    def _kept_in(self, records: Sequence[Record]) -> list[list[np.ndarray]]:
        """Returns the snapshots of all layers at some records."""
        assert self._snapshots is not None
        return self._snapshots.on_host(records)

    def _lengths(self, ends: Sequence[np.ndarray | None]) -> np.ndarray:
        """Returns the distance from start to end of each layer."""
        lengths = self._ways.lengths(ends)
        if self._snapshots is not None and self.reference == "final" and self._ended:
            newest = self._unrecorded[1] if self._unrecorded else self._records[-1]
            # Sketched layers have NaN here, but their last record was measured before sketching.
            known = newest.get("distance_from_start", lengths)
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
        """Returns, for all records, the columns that depend on the endpoint."""
        names = ("distance", "angle_to_end", "way_from_start", "effective_distance")
        if self._snapshots is None:
            return {name: self._stacked(name) for name in names}
        ends = self._where_it_ends()
        lengths = self._lengths(ends)
        known = {name: self._stacked(name) for name in ("distance_from_start", "kernel_norm")}
        return self._ways.to_end(self._kept_in(self._records), known, ends, lengths)

    def _where_it_ends(self) -> list[np.ndarray]:
        """Returns the endpoint, or the newest weights while training runs."""
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
        """Keeps the weights that the model ended with, before it is trained further."""
        if self.reference == "model" and self._ended and self._endpoint is None:
            self._endpoint = self._now()
            self._endpoint_is_late = self._updates.now() > self._last_step()

    def _now(self) -> list[np.ndarray]:
        assert self._snapshots is not None
        self.model  # noqa: B018  on JAX, this brings the state back into its variables
        return self._snapshots.now()

    def attributes(self) -> dict[str, Any]:
        """Returns which endpoint was used, and the step at which weights were first not finite."""
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
        sketched = self._snapshots is not None and self._snapshots.sketched
        self._missing = why_missing(
            self._rows, self._ways, columns, self._given, sketched, self._why_no_way()
        )
        if self.reference == "model" and self._endpoint_is_late:
            self._missing["reference"] = (
                "The model was trained further before its weights were read as the endpoint, so "
                "the endpoint is later than the last record."
            )
        elif self.reference == "final" and self._ended and self._ends_elsewhere():
            self._missing["reference"] = (
                "The model's weights now differ from the endpoint: averaged or restored weights "
                "were swapped in, or the model was trained further. Use reference='model' to "
                "measure against the weights that the model has right after `fit`."
            )

    def _why_no_way(self) -> str:
        """Explains why a layer's distance is zero at the start."""
        if len(self._records) == 1:
            return "The run has only one record, so there is no distance between start and end."
        if self._ended:
            return "The layer ends where it started."
        return "The layer has not moved yet."

    def _ends_elsewhere(self) -> bool:
        return not all(
            np.array_equal(now, end, equal_nan=True)
            for now, end in zip(self._now(), self._where_it_ends(), strict=True)
        )

    # Backup.

    def _keep(self, record: Record) -> None:
        if record is self._records[0] and not self._holds_initial():
            initial = {f"initial/{at}": on_host(vector) for at, vector in enumerate(self._initial)}
            record = record | initial
        super()._keep({name: value for name, value in record.items() if name != JOINED})

    def _holds_initial(self) -> bool:
        """Returns whether the first record's snapshots are the initial parameters themselves."""
        return self._snapshots is not None and not self._snapshots.sketched

    def _identity(self) -> dict[str, Any]:
        given = None
        if self._given:
            given = [None if v is None else float(norms([v])[0]) for v in self._given]
        return {**super()._identity(), "memory": self.memory, "given": given}

    def _stands_at(self, record: Record, step: int) -> bool:
        now = norms(parameter_vectors(self._rows)[1])
        then = record.get("parameter_norm")
        if then is None:
            then = norms(self._kept_in([record])[0])
        if record["step"] < step or np.allclose(now, then, rtol=1e-5, equal_nan=True):
            return True
        # A new model at update 0 is more likely to be another one.
        moving = any(each.moves_between_updates for each in self._updates.optimizers)
        return moving and step > 0

    def _restored(self, records: list[Record]) -> None:
        first = records[0]
        names = [f"initial/{place}" for place in range(len(self._rows))]
        if names[0] in first:
            self._initial = [first.pop(name) for name in names]
        else:
            self._initial = [first[kept(place)] for place in range(len(self._rows))]
        self._known_ways = self._device_sketches = None
        if self._snapshots is not None and not all(map(self._snapshots.are_whole, records)):
            self._describe([record for record in records if self._snapshots.are_whole(record)])
            self._snapshots.sketch(records)


def _warn_of_averages(callback: LayerConvergence) -> None:
    """Warns if averages are in the place of the weights when this callback keeps them."""
    for earlier in callbacks_before(callback):
        if isinstance(earlier, keras.callbacks.SwapEMAWeights) and earlier.swap_on_epoch:
            warnings.warn(
                "SwapEMAWeights(swap_on_epoch=True) comes before LayerConvergence in the list of "
                "callbacks, so at the end of each epoch, averages are recorded in place of the "
                "weights. Put LayerConvergence before it.",
                stacklevel=3,
            )
