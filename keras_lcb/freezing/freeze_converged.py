"""The `FreezeConverged` callback: layers that are done are frozen while the others train on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.config import whole_number
from keras_lcb.freezing.annealing import Annealing
from keras_lcb.freezing.evidence import Movement, RepresentationChange
from keras_lcb.freezing.frozen import frozen_of
from keras_lcb.freezing.rules import Rule, Schedule, Settled
from keras_lcb.freezing.schedules import SCHEDULES
from keras_lcb.training.layers import TrackedLayer, check_built, is_complete, tracked_layers
from keras_lcb.training.layerwise_model import LayerwiseModel
from keras_lcb.training.selection import LayerSelection


class FreezeConverged(Recorder):
    """Freezes layers while a model trains, the shallowest first, to save their backward pass.

    A frozen layer stays as it is, bit for bit, whatever momentum, weight decay or averages of the
    optimizer would do to it; its batch normalization runs in inference mode; and its state in the
    optimizer waits for it. Layers freeze where epochs begin, and the training step is made anew
    each time, which takes some seconds where it is compiled: group layers so that this happens a
    few times only. After `fit` the flags `trainable` are as they were.

    **By schedule** (FreezeOut, Brock et al. 2017): the first layer freezes at the fraction `start`
    of the run, the last trains to its end, those between at evenly spaced fractions ("linear") or
    at the cubes of evenly spaced ones ("cubic", which freezes earlier). Each layer's whole step
    is scaled by ½ (1 + cos(πt / T)), which falls to 0 at the moment T when it freezes, so leave
    the optimizer's own learning rate constant. T is rounded to a whole epoch.

    **By evidence** (`schedule=None`): a layer freezes when it has hardly changed for `patience`
    epochs, and all layers before it have. The change is how far its weights moved in an epoch,
    relative to how far they are from the start; with `x`, it is 1 − linear CKA between its
    activations on `x` now and an epoch ago (compare Egeria, Wang et al. 2023). Where the layer
    would end is not known at that moment: what rests for a while looks like what has arrived, and
    a falling learning rate makes everything look so.

    Args:
        schedule: "linear", "cubic", or `None` for evidence. Defaults to `None`.
        start: The fraction of the run, after cubing, at which a schedule freezes the first layer.
            Defaults to 0.5.
        patience: Epochs in a row in which a layer has to have settled, for evidence. Defaults
            to 3.
        threshold: The change below which a layer counts as settled. Defaults to `None`: 0.1 for
            weights, 0.01 for activations.
        x: A probe batch, for evidence by activations: inputs as the model takes them, some 100 to
            500 samples. Defaults to `None`.
        cache: Whether to keep what frozen layers make of the samples, so that their forward pass
            is saved too: `True` for in memory, or a folder to keep it on disk. Only with
            `keras_lcb.fit_in_stages`. Defaults to `False`.
        layers: Which layers freeze, and which of them together, see
            `keras_lcb.training.selection.select_layers`. Defaults to "blocks".
        backup: A folder that keeps the record, so that another process can go on with it beside
            `keras.callbacks.BackupAndRestore`. Defaults to `None`.

    Attributes:
        results: The run, an `xarray.Dataset`, with `frozen` (step, layer): 1 where a layer is
            frozen from that update on; and, for layers that freeze, what the rule goes by:
            `update_factor`, `movement` or `representation_change`, each over (step, layer).
        events: What froze so far: a list of dictionaries with `layers`, `epoch`, `step` and
            `why`. They are among the run's settings, too.

    Raises:
        ValueError: For settings out of range; before training, if the model is not built, if it
            has a single layer to freeze, or if its optimizer is made of several.

    Cost: a new training step for each stage; for evidence, a copy of the weights or a forward
    pass of `x` each epoch.

    Example:
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
        _check_settings(schedule, start, threshold, x)
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
        self._units: list[TrackedLayer] = []
        self._rule: Rule | None = None
        self._next_epoch = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        """What froze so far: which layers, from which epoch and update on, and why."""
        events = []
        before = 0
        for record in self._records:
            for unit in range(before, record["frozen_units"]):
                assert self._rule is not None
                event = {
                    "layers": [row.name for row in self._rows if _is_in(row, self._units[unit])],
                    "epoch": int(record["epoch"]),
                    "step": int(record["step"]),
                    "why": self._rule.why(unit, record["unit_values"]),
                }
                events.append(event)
            before = record["frozen_units"]
        return events

    def thaw(self) -> None:
        """Sets the model's flags as they were, for one whose training was interrupted."""
        if self._model is not None:
            frozen_of(self._model).thaw()

    # Keras' hooks.

    def set_model(self, model: Any) -> None:
        """Attaches to a model.

        Raises:
            ValueError: If it cannot be followed, or its layers cannot be frozen.
        """
        check_built(model)
        if not is_complete(model):
            raise ValueError(
                f"The model '{model.name}' is not built, so its layers cannot be frozen yet. Call "
                "it on one batch, `model(x[:1])`, before training."
            )
        if self.cache is not False and not self._in_stages:
            raise ValueError(
                "`cache` needs to know the samples, which callbacks never see: use "
                "`keras_lcb.fit_in_stages(model, x, y, freeze, ...)` in place of `fit`."
            )
        frozen_of(model).thaw()  # what a failed training has left
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes part in the training."""
        super().on_train_begin(logs)
        assert self._tap is not None
        self._epochs_planned = int(self.params["epochs"])
        self._steps = self.params.get("steps")
        if self.schedule is not None and self._steps is None:
            raise ValueError(
                "A schedule needs to know how many batches an epoch has: give `steps_per_epoch`."
            )
        self._tap.open()
        self._tap.on_leaving(self.thaw)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Freezes what is due."""
        self._next_epoch = epoch
        super().on_epoch_begin(epoch, logs)
        self.freeze_for(epoch)
        assert self._tap is not None
        self._tap.prepare()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Finds what is to be frozen next, and takes a record."""
        assert self._rule is not None
        self._next_epoch = epoch + 1
        self._rule.observe(epoch + 1)
        super().on_epoch_end(epoch, logs)

    # For `fit_in_stages`.

    def freeze_for(self, epoch: int) -> int:
        """Freezes what is due where an epoch begins, and returns how many units that are."""
        count = self.frozen_units(epoch)
        frozen_of(self._model).become(self._units[:count])
        return count

    def frozen_units(self, epoch: int) -> int:
        """Returns how many units are frozen in an epoch, as far as is known."""
        assert self._rule is not None
        return self._rule.frozen(epoch)

    @contextlib.contextmanager
    def in_stages(self) -> Iterator[None]:
        """Within this context `fit_in_stages` trains."""
        self._in_stages = True
        try:
            yield
        finally:
            self._in_stages = False

    # Recording.

    def _attach(self) -> None:
        self._rows = self._units  # what `layers` chooses, while the run has a row for each layer
        super()._attach()

    def attached(self) -> None:
        """Finds what freezes together, and refuses what cannot be frozen."""
        optimizer = self._model.optimizer
        if len(internals.parts_of(optimizer)) > 1:
            raise ValueError(
                f"{type(optimizer).__name__} is made of several optimizers, which do not take "
                "fewer gradients than variables. Freezing needs a single optimizer."
            )
        if self.schedule is not None and isinstance(self._model, LayerwiseModel):
            raise ValueError(
                "A schedule scales steps layer by layer, and so does a LayerwiseModel: train a "
                "plain `keras.Model`, or freeze by evidence (schedule=None)."
            )
        self._units = self._rows
        self._rows = list(tracked_layers(self._model).layers)
        if len(self._units) < 2 and not self._others_train():
            raise ValueError(
                f"All layers of the model '{self._model.name}' are one group, '"
                f"{self._units[0].name}', and freezing it would leave nothing to train. Choose "
                "`layers` that make several groups."
            )

    def _others_train(self) -> bool:
        inside = {id(v) for unit in self._units for v in unit.variables}
        return any(id(v) not in inside for v in self._model.trainable_variables)

    def _new_rule(self) -> Rule:
        if self.schedule is not None:
            return Schedule(self.schedule, self.start)
        by_weights = self.x is None
        evidence = Movement() if by_weights else RepresentationChange(self._model, self.x)
        threshold = evidence.threshold if self.threshold is None else self.threshold
        return Settled(evidence, threshold, self.patience, last_trains=not self._others_train())

    def _begin(self) -> None:
        # Not in `on_train_begin`: BackupAndRestore loads weights there.
        if self._rule is None or self.schedule is not None:
            self._rule = self._new_rule()
            self._rule.begin(self._units, self._epochs_planned)
        super()._begin()
        self._rule.recall(self._records)
        if self._rule.ends is not None:
            self._anneal(self._rule.ends)

    def _anneal(self, ends: np.ndarray) -> None:
        """Has each unit's steps fall to zero over so many epochs."""
        assert self._tap is not None
        (part,) = internals.parts_of(self._model.optimizer)
        origin = int(ops.on_host(internals.steps_of(part))) - self._next_epoch * self._steps
        batches = {
            id(v): float(end * self._steps)
            for unit, end in zip(self._units, ends, strict=True)
            for v in unit.variables
        }
        self._tap.scale_by(Annealing(self._model, batches, origin))

    def measure(self) -> Record:
        """Returns how many units are frozen from here on, and what the rule goes by."""
        assert self._rule is not None
        return {
            "frozen_units": self._rule.frozen(self._next_epoch),
            "unit_values": np.array(self._rule.values),
            **self._rule.kept(),
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
        flag = {"long_name": "whether the layer is frozen from here on", "units": "1"}
        return {
            "frozen": (along, frozen, flag),
            self._rule.name: (along, np.stack(values), described),
        }

    def attributes(self) -> dict[str, Any]:
        """Returns what froze, when and why."""
        return {"frozen": self.events}

    def settings(self) -> dict[str, Any]:
        """Returns the settings, so that a run says how layers were frozen."""
        rule = {"schedule": self.schedule, "start": self.start}
        if self.schedule is None:
            rule = {"patience": self.patience, "threshold": self.threshold}
        return {**rule, "layers": super().settings()["layers"]}


def _is_in(row: TrackedLayer, unit: TrackedLayer) -> bool:
    inside = {id(v) for v in unit.variables}
    return all(id(v) in inside for v in row.variables)


def _check_settings(schedule: Any, start: Any, threshold: Any, x: Any) -> None:
    if schedule is not None and schedule not in SCHEDULES:
        names = ", ".join(f"'{name}'" for name in SCHEDULES)
        raise ValueError(f"`schedule` is {names} or None, for evidence; received {schedule!r}.")
    if not 0 < start < 1:
        raise ValueError(
            f"`start` is the fraction of the run at which the first layer freezes, between 0 and "
            f"1; received {start!r}."
        )
    if threshold is not None and not threshold > 0:
        raise ValueError(f"`threshold` is a positive number; received {threshold!r}.")
    if schedule is not None and not (x is None and threshold is None):
        raise ValueError(
            "`x` and `threshold` are for freezing by evidence: leave them out, or set "
            "schedule=None."
        )
