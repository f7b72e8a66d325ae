"""The `FreezeConverged` callback: freezes converged layers while the others train on."""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.callbacks.completeness import check_complete
from keras_lcb.callbacks.recorder import LOCK, Record, Recorder
from keras_lcb.config import whole_number
from keras_lcb.freezing.annealing import Annealing
from keras_lcb.freezing.evidence import Movement, RepresentationChange
from keras_lcb.freezing.frozen import frozen_of
from keras_lcb.freezing.probe import check_probe
from keras_lcb.freezing.rules import Finished, Rule, Schedule, Settled
from keras_lcb.freezing.schedules import SCHEDULES
from keras_lcb.freezing.unit_rates import rates_of
from keras_lcb.training.layers import TrackedLayer, tracked_layers
from keras_lcb.training.layerwise_model import LayerwiseModel
from keras_lcb.training.selection import LayerSelection


class FreezeConverged(Recorder):
    """Freezes layers while a model trains, the shallowest first, to save their backward pass.

    A frozen layer stays exactly as it is: neither momentum nor weight decay nor weight averages of
    the optimizer change it. Its batch normalization runs in inference mode, and the optimizer keeps
    its slots until the layer is thawed. Layers freeze only when an epoch begins. After `fit`, the
    flags `trainable` have their previous values again. Files that are saved in the meantime, as by
    `ModelCheckpoint`, hold these values, too, so they load with the whole state of the optimizer.
    Layers that do not train anyway, because their flag is False or the model never calls them, are
    left out.

    **By schedule** (FreezeOut, Brock et al. 2017): the first layer freezes at the fraction `start`
    of the run, and the last one trains to the end. The other layers freeze in between, at equally
    spaced fractions ("linear") or at the cubes of equally spaced numbers ("cubic", which freezes
    earlier). Each layer's step is multiplied by ½ (1 + cos(πt / T)), which falls to 0 at the time
    T when the layer freezes. So keep the optimizer's own learning rate constant. T is rounded to
    whole epochs.

    **By evidence** (`schedule=None`): a layer freezes when it and all layers before it have hardly
    changed for `patience` epochs. The change is the distance that the layer's weights moved in an
    epoch, divided by their distance from the start. With `x`, the change is 1 − linear CKA between
    the layer's activations on `x` now and an epoch ago (compare Egeria, Wang et al. 2023). The
    layer's endpoint is not known at that time. A layer that pauses for a while looks like a
    converged one, and so does any layer when the learning rate falls. Epochs in which nothing was
    updated (accumulated gradients, steps that the loss scaler skips), or in which the learning rate
    was 0, tell nothing and do not count.

    Args:
        schedule: "linear", "cubic", or `None` to freeze by evidence. Defaults to `None`.
        start: The fraction of the run at which a schedule freezes the first layer. In the cubic
            schedule, it is t₀³ of FreezeOut. Defaults to 0.5.
        patience: For evidence: the number of successive epochs in which a layer must hardly
            change. Defaults to 3.
        threshold: For evidence: the change below which a layer hardly changes. Defaults to `None`:
            0.1 for weights, 0.01 for activations.
        x: A probe batch, to measure the change of activations: inputs as the model takes them,
            100 to 500 samples, at least 2 of them different. Defaults to `None`: the change of the
            weights is measured.
        cache: Whether to keep the outputs of frozen layers for each sample, so that their forward
            pass is saved, too: `True` to keep them in memory, or a folder to keep them on disk.
            Works only with `keras_lcb.fit_in_stages`. Defaults to `False`.
        layers: Which layers freeze, and which of them together: `None` for each layer alone;
            "blocks" to group layers into the blocks that their names tell; a list of layers or
            nested models, or of their names, each of which freezes as one; or a function that
            takes a Keras layer and returns the name of its group, or `None` if the layer never
            freezes. Defaults to "blocks".
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run, if it also uses `keras.callbacks.BackupAndRestore`. Defaults
            to `None`: nothing is written.

    Attributes:
        results: The run, an `xarray.Dataset` with `frozen` (step, layer): 1 if the callback has
            frozen the layer from that update on, otherwise 0. For layers that may freeze, the run
            also has the variable by which the rule decides: `update_factor`, `movement` or
            `representation_change` (step, layer).
        events: The freezes so far, a list of dictionaries with `layers`, `epoch`, `step`, `value`
            (of the variable by which the rule decides) and `why`. The run stores them in
            `attrs["settings"]`.

    Raises:
        ValueError: If an argument is out of range. Before training, if the model is not built, if
            freezing would leave nothing to train, if the optimizer consists of several
            optimizers, if a schedule is used with a `LayerwiseModel`, if the model cannot be called
            on `x`, or if another `FreezeConverged` trains the model, too.

    Cost: Keras makes and compiles the training step again each time layers freeze, which takes
    seconds for a large model, so choose few groups. To freeze by evidence, each epoch also copies
    the weights to the host, or runs a forward pass of `x`.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> names = ("a", "b", "c")
    >>> dense = [keras.layers.Dense(4, name=name) for name in names]
    >>> model = keras.Sequential([keras.Input((2,)), *dense])
    >>> model.compile("sgd", "mse")
    >>> freeze = FreezeConverged("linear", start=0.5)
    >>> x, y = np.ones((8, 2)), np.zeros((8, 4))
    >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[freeze])
    >>> [(event["layers"], event["epoch"]) for event in freeze.events]
    [(['a'], 2), (['b'], 3)]
    """

    def __init__(
        self,
        schedule: str | None = None,
        start: float = 0.5,
        *,
        patience: int = 3,
        threshold: float | None = None,
        x: Any = None,
        cache: bool | str | os.PathLike[str] = False,
        layers: LayerSelection = "blocks",
        backup: Any = None,
    ) -> None:
        _check_settings(schedule, start, threshold, x, cache)
        self.schedule, self.start = schedule, float(start)
        self.patience = whole_number("patience", patience, 1)
        self.threshold = threshold
        self.x, self.cache = x, cache
        self.data = () if x is None else ("x",)
        self._in_stages = False
        super().__init__("epoch", layers, backup)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._selected: list[TrackedLayer] = []  # the groups that `layers` selects
        self._units: list[TrackedLayer] = []  # those among them that train, and may freeze
        self._rule: Rule | None = None
        self._next_epoch = 0
        self._events: list[dict[str, Any]] = []
        self._noted = 0  # the number of frozen units, at the last look for events
        self._observed_at = 0  # the update at which the rule last observed the units
        self._first_rates = np.empty(0)  # of the units, at the start of the epoch

    @property
    def events(self) -> list[dict[str, Any]]:
        """Returns the freezes so far: which layers, from which epoch and update on, and why."""
        return [dict(event) for event in self._events]

    def thaw(self) -> None:
        """Sets the flags `trainable` back. Needed only if a training was interrupted."""
        if self._model is not None:
            frozen_of(self._model).thaw()

    def track(self, model: Any, optimizer: Any) -> None:
        """Refuses loops without epochs of `fit`.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "`track` received a FreezeConverged, which can freeze layers only when an epoch of "
            "`fit` begins. Use `model.fit(..., callbacks=[freeze])`, or set `layer.trainable` "
            "in your own loop."
        )

    # Keras' hooks.

    def set_model(self, model: Any) -> None:
        """Attaches to a model.

        Raises:
            ValueError: If it cannot be measured, or its layers cannot be frozen.
        """
        check_complete(model, "FreezeConverged")
        if self.cache is not False and not self._in_stages:
            raise ValueError(
                "Received `cache` with `fit`, but callbacks never see the samples. Use "
                "`keras_lcb.fit_in_stages(model, x, y, freeze, ...)` instead of `fit`."
            )
        frozen_of(model).thaw()  # layers may still be frozen after a failed training
        super().set_model(model)
        if not self._rows:  # layers that the model never calls are not built
            self._attach()

    def on_train_begin(self, logs: Any = None) -> None:
        """Prepares to freeze layers in this training."""
        super().on_train_begin(logs)
        assert self._tap is not None
        self._epochs_planned = int(self.params["epochs"])
        self._steps = self.params.get("steps")
        if self.schedule is not None and self._steps is None:
            raise ValueError(
                "A schedule needs the number of batches in an epoch. Give `steps_per_epoch`."
            )
        frozen_of(self._model).belong_to(self)
        self._tap.open()
        self._tap.on_leaving(self.thaw)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Freezes the layers that are due."""
        self._next_epoch = epoch
        super().on_epoch_begin(epoch, logs)
        self._note_freezes(self._epochs)
        self._correct_last_record()
        self._first_rates = self._rates()
        self.freeze_for(epoch)
        assert self._tap is not None
        self._tap.prepare()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Updates the rule and takes a record."""
        assert self._rule is not None
        self._next_epoch = epoch + 1
        step = self._updates.now()
        rates = np.stack([self._first_rates, self._rates()])
        self._rule.observe(Finished(epoch + 1, step - self._observed_at, rates))
        self._observed_at = step
        self._note_freezes(self._epochs + 1)
        super().on_epoch_end(epoch, logs)
        self._correct_last_record()

    # For `fit_in_stages`.

    def freeze_for(self, epoch: int) -> int:
        """Freezes the units that are due when an epoch begins, and returns their number."""
        count = self.frozen_units(epoch)
        frozen_of(self._model).freeze_only(self._units[:count])
        return count

    def frozen_units(self, epoch: int) -> int:
        """Returns how many units are frozen in an epoch, according to what is known now."""
        assert self._rule is not None
        return self._rule.frozen(epoch)

    @contextlib.contextmanager
    def in_stages(self) -> Iterator[None]:
        """Allows `cache`. `fit_in_stages` trains within this context."""
        self._in_stages = True
        try:
            yield
        finally:
            self._in_stages = False

    # Recording.

    def _attach(self) -> None:
        self._rows = self._selected  # `layers` selects units, but the run has a row for each layer
        super()._attach()

    def attached(self) -> None:
        """Finds the units, and checks that they can be frozen."""
        optimizer = self._model.optimizer
        if len(internals.parts_of(optimizer)) > 1:
            raise ValueError(
                f"{type(optimizer).__name__} consists of several optimizers. They cannot leave out "
                "the variables of frozen layers. Compile the model with a single optimizer."
            )
        if self.schedule is not None and isinstance(self._model, LayerwiseModel):
            raise ValueError(
                "Received a schedule for a LayerwiseModel, but both scale the steps of each layer. "
                "To freeze by a schedule, train a plain `keras.Model`. Or freeze by evidence "
                "(schedule=None)."
            )
        self._selected = self._rows
        order = tracked_layers(self._model)
        self._rows = list(order.layers)
        never_called = [row for row in order.layers if row.name in order.notes]
        self._find_units({id(v) for row in never_called for v in row.variables})
        if len(self._units) < 2 and not self._others_train():
            raise ValueError(
                f"All layers of the model '{self._model.name}' that train are in one group, '"
                f"{self._units[0].name}'. Freezing it would leave nothing to train. Choose "
                "`layers` that form several groups."
            )

    def _find_units(self, left_out: set[int]) -> None:
        self._training_ids = {id(v) for v in self._model.trainable_variables} - left_out
        units = [
            unit
            for unit in self._selected
            if any(id(v) in self._training_ids for v in unit.variables)
        ]
        if not units:
            raise ValueError(
                "None of the layers that `layers` selects trains: their flag `trainable` is False, "
                "or the model never calls them. Choose other `layers`, or set their flag to True "
                "before `compile`."
            )
        if self._records and [u.name for u in units] != [u.name for u in self._units]:
            raise ValueError(
                "Other layers train than when this FreezeConverged began its run. Use a new "
                "FreezeConverged, or call `reset()` to discard that run."
            )
        self._units = units

    def _others_train(self) -> bool:
        inside = {id(v) for unit in self._units for v in unit.variables}
        return not self._training_ids <= inside

    def _new_rule(self) -> Rule:
        if self.schedule is not None:
            return Schedule(self.schedule, self.start)
        by_weights = self.x is None
        evidence = Movement() if by_weights else RepresentationChange(self._model, self.x)
        threshold = evidence.threshold if self.threshold is None else self.threshold
        return Settled(evidence, threshold, self.patience, last_trains=not self._others_train())

    def _begin(self) -> None:
        # Not in `on_train_begin`, because BackupAndRestore loads weights there.
        if self._rule is None or self.schedule is not None:
            self._rule = self._new_rule()
            self._rule.begin(self._units, self._epochs_planned, self._next_epoch)
        else:
            self._rule.go_on(trained=self._updates.now() != self._last_step())
        super()._begin()
        self._observed_at = self._updates.now()
        if self._rule.ends is not None:
            self._anneal(self._rule.ends)

    def _anneal(self, ends: np.ndarray) -> None:
        """Makes the steps of each unit fall to zero over its number of epochs."""
        assert self._tap is not None
        (part,) = internals.parts_of(self._model.optimizer)
        origin = int(ops.on_host(internals.steps_of(part))) - self._next_epoch * self._steps
        batches = {
            id(v): float(end * self._steps)
            for unit, end in zip(self._units, ends, strict=True)
            for v in unit.variables
        }
        self._tap.scale_by(Annealing(self._model, batches, origin))

    def _continue(self) -> None:
        """Continues from the last record, which a backup or a model that is set back determines."""
        super()._continue()
        assert self._rule is not None
        self._rule.restore(self._records)
        last = self._records[-1]
        self._noted = last["frozen_units"]
        self._events = json.loads(last.get("events", "[]"))  # old backups have none

    def _rates(self) -> np.ndarray:
        return rates_of(self._model, self._units)

    def _note_freezes(self, epochs: int) -> None:
        """Notes which units are frozen from now on that were not before.

        Args:
            epochs: The number of finished epochs.
        """
        assert self._rule is not None
        count = self._rule.frozen(self._next_epoch)
        for unit in range(self._noted, count):
            event = {
                "layers": [row.name for row in self._rows if _is_in(row, self._units[unit])],
                "epoch": int(epochs),
                "step": int(self._updates.now()),
                "value": self._rule.value(unit),
                "why": self._rule.why(unit),
            }
            self._events.append(event)
        self._noted = count

    def _correct_last_record(self) -> None:
        """Writes what is frozen from now on to the last record, if no update was made since.

        It may be another number of units than when the record was taken: a new `fit` begins with
        thawed layers, and epochs pass without an update.
        """
        record, now = self._records[-1], self.measure()
        same = np.array_equal(record["unit_values"], now["unit_values"], equal_nan=True)
        if same and all(record.get(name) == now[name] for name in ("frozen_units", "events")):
            return
        if self._updates.now() == self._last_step():
            with LOCK:
                record |= now
            self._keep(record)

    def measure(self) -> Record:
        """Returns how many units are frozen from now on, and the state of the rule."""
        assert self._rule is not None
        return {
            "frozen_units": self._rule.frozen(self._next_epoch),
            "unit_values": np.array(self._rule.values),
            "events": json.dumps(self._events),
            **self._rule.state(),
        }

    # The run.

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        assert self._rule is not None
        along = "step", "layer"
        unit_of = [
            next((n for n, unit in enumerate(self._units) if _is_in(row, unit)), -1)
            for row in self._rows
        ]
        frozen = [
            [0 <= unit < record["frozen_units"] for unit in unit_of] for record in self._records
        ]
        values = [np.append(record["unit_values"], np.nan)[unit_of] for record in self._records]
        described = {"long_name": self._rule.long_name, "units": "1"}
        flag = {"long_name": "whether the layer is frozen from this update on", "units": "1"}
        return {
            "frozen": (along, frozen, flag),
            self._rule.name: (along, np.stack(values), described),
        }

    def attributes(self) -> dict[str, Any]:
        """Returns which layers froze, when and why."""
        return {"frozen": self.events}

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "units": [unit.name for unit in self._units]}

    def settings(self) -> dict[str, Any]:
        """Returns the settings, which the run stores."""
        rule = {"schedule": self.schedule, "start": self.start}
        if self.schedule is None:
            rule = {"patience": self.patience, "threshold": self.threshold}
        return {**rule, "layers": super().settings()["layers"]}


def _is_in(row: TrackedLayer, unit: TrackedLayer) -> bool:
    inside = {id(v) for v in unit.variables}
    return all(id(v) in inside for v in row.variables)


def _check_settings(schedule: Any, start: Any, threshold: Any, x: Any, cache: Any) -> None:
    if schedule is not None and not (isinstance(schedule, str) and schedule in SCHEDULES):
        names = ", ".join(f"'{name}'" for name in SCHEDULES)
        raise ValueError(
            f"`schedule` must be {names} or None (by evidence); received {schedule!r}."
        )
    if not (_is_number(start) and 0 < start < 1):
        raise ValueError(
            f"`start`, the fraction of the run at which the first layer freezes, must be a number "
            f"between 0 and 1; received {start!r}."
        )
    if threshold is not None and not (_is_number(threshold) and threshold > 0):
        raise ValueError(f"`threshold` must be a positive number; received {threshold!r}.")
    if schedule is not None and not (x is None and threshold is None):
        raise ValueError(
            "Received a schedule with `x` or `threshold`, which are used to freeze by evidence. "
            "Leave them out, or set schedule=None."
        )
    if not isinstance(cache, (bool, str, os.PathLike)):
        raise ValueError(
            f"`cache` must be True, False, or the path of a folder; received {cache!r}."
        )
    if x is not None:
        check_probe(x)


def _is_number(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return real and math.isfinite(value)
