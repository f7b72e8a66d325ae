"""The `StepQuantities` callback: records what is measured inside the training step."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.order import callbacks_before
from keras_lcb.callbacks.recorder import COMMON_ENTRIES, Record, Recorder
from keras_lcb.quantities import StepQuantity
from keras_lcb.runs import schema
from keras_lcb.training.meter import RING_ROWS
from keras_lcb.training.reader import Reader, Taken
from keras_lcb.training.selection import LayerSelection
from keras_lcb.training.spool import joined

# What a record holds besides the quantities.
_COUNTS = ("updates", "updates_of", "nonfinite", "since_nonfinite", "skipped", "lost")

_LOGGERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    keras.callbacks.RemoteMonitor,
)
_LOGGING_PACKAGES = {"mlflow", "wandb", "comet_ml", "neptune", "clearml"}


class StepQuantities(Recorder):
    """Records quantities of each layer that are measured inside the training step.

    Sums stay on the device until a record is due. If several callbacks measure the same quantity,
    it is computed once. Model, optimizer and saved files stay as they are. Each training step costs
    the computation in the `update` of each quantity.

    Args:
        *quantities: What to record, objects of subclasses of `StepQuantity`.
        every: When to take a record: "epoch" for the end of each epoch, or a number n for every
            n updates. Where one call of the step makes several updates (`steps_per_execution`),
            the record is taken at the end of the call that reaches n. Defaults to "epoch".
        per_update: Whether to keep the values of each single update, too. Defaults to `False`.
        layers: Which layers to follow: `None` for all; "blocks" to group layers into the blocks
            that their names tell; a list of layers or nested models, or of their names, each
            measured as one; or a function that takes a Keras layer and returns the name of its
            group, or `None` to leave the layer out. Defaults to `None`.
        log: Whether to add `<name>/<layer>`, measured over the epoch, to the epoch's logs.
            `History` and the loggers that come later in the list of callbacks write them. Defaults
            to `False`.
        backup: A folder to which each record is written. A new process that is given the same
            folder continues the run. Defaults to `None`: nothing is written.
        optimizer: The optimizer that trains the model, or a list of optimizers. Needed only if
            they are not attributes of the model. Defaults to `None`: they are found there.

    Attributes:
        results: The run, an `xarray.Dataset` with a variable (step, layer) for each quantity. A
            value covers the updates since the previous record, but only those in which the layer
            had a gradient. It is NaN before training. With `per_update`, the run also has
            `<name>_per_update` (update, layer), which is NaN where the layer had no gradient.

    Raises:
        ValueError: If no quantity is given, or a quantity has a name that runs use for something
            else. Before training, if the model has no optimizer, a layer is unknown, or a
            quantity cannot be traced.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_lcb.quantities import SignAgreement
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile(keras.optimizers.SGD(0.01), "mse")
    >>> signs = StepQuantities(SignAgreement())
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, batch_size=2, epochs=2, verbose=0, callbacks=[signs])
    >>> signs.results.sign_agreement.sel(layer="lin").values.tolist()
    [nan, 1.0, 1.0]
    """

    needs_weights = False

    def __init__(
        self,
        *quantities: StepQuantity,
        every: str | int = "epoch",
        per_update: bool = False,
        layers: LayerSelection = None,
        log: bool = False,
        backup: str | os.PathLike[str] | None = None,
        optimizer: Any = None,
    ) -> None:
        self.quantities = _checked(quantities)
        self.per_update = per_update
        self.log = log
        super().__init__(every, layers, backup, optimizer)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._reader: Reader | None = None  # of what was measured since the last record
        self._epoch_reader: Reader | None = None  # of what was measured in this epoch, for its logs

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model."""
        super().set_model(model)
        if self.log:
            _warn_of_earlier_loggers(self)

    def attached(self) -> None:
        """Prepares to read what the training step will measure."""
        if self._reader is None:
            steps = getattr(self._model, "steps_per_execution", 1)
            ring_rows = max(RING_ROWS, 2 * steps) if self.per_update else 0
            self._reader = Reader(self.quantities, self._rows, ring_rows)
            self._epoch_reader = Reader(self.quantities, self._rows) if self.log else None

    def _take_part(self) -> None:
        super()._take_part()
        assert self._tap is not None
        self._take_part_late()
        self._tap.open()

    def _needs_steps(self) -> bool:
        return True

    def _take_part_late(self) -> None:
        assert self._tap is not None
        for reader in (self._reader, self._epoch_reader):
            if reader is not None:
                self._tap.attach(reader)

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained without `fit`."""
        super().track(model, optimizer)
        assert self._tap is not None
        self._take_part_late()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        super().on_epoch_begin(epoch, logs)
        if self._epoch_reader is not None:
            self._take_of(self._epoch_reader)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes a record if one is due, and adds to the epoch's logs if `log` is set."""
        super().on_epoch_end(epoch, logs)
        if self._epoch_reader is not None and logs is not None:
            for name, values in self._take_of(self._epoch_reader).values.items():
                for row, value in zip(self._rows, values, strict=True):
                    logs[f"{name}/{row.name}"] = float(value)

    # Recording.

    def _take_of(self, reader: Reader) -> Taken:
        """Returns what a reader has collected until now, and empties the reader."""
        assert self._tap is not None
        self._tap.drain()
        self._tap.begin_windows(reader)
        return reader.take()

    def measure(self) -> Record:
        """Takes what was measured since the last record."""
        assert self._reader is not None
        taken = self._take_of(self._reader)
        record: Record = dict(taken.values)
        record |= {f"{name}_per_update": values for name, values in taken.each.items()}
        return record | {name: getattr(taken, name) for name in _COUNTS}

    def _undone(self, step: int) -> bool:
        assert self._reader is not None and self._tap is not None
        self._tap.drain()
        return self._reader.updates != step - self._last_step()

    def _forget_unrecorded(self) -> None:
        super()._forget_unrecorded()
        if self._reader is not None:
            self._take_of(self._reader)

    def _restored(self, records: list[Record]) -> None:
        super()._restored(records)
        assert self._reader is not None
        for quantity, spool in zip(self.quantities, self._reader.spools, strict=False):
            name = f"{quantity.name}_per_update"
            for record in records:
                record[name] = spool.append(record[name])
        self._reader.take()  # the next record begins after them

    # The run.

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        variables: dict[str, tuple[Any, ...]] = {}
        for quantity in self.quantities:
            values = np.stack([record[quantity.name] for record in self._records])
            variables[quantity.name] = (("step", "layer"), values, _described(quantity))
        if self.per_update:
            for quantity in self.quantities:
                name = f"{quantity.name}_per_update"
                values = joined([record[name] for record in self._records])
                described = {**_described(quantity), "long_name": f"{quantity.long_name}, each"}
                variables[name] = (("update", "layer"), values, described)
        return variables

    def coordinates(self) -> dict[str, Any]:
        """Returns the numbers of the updates, with `per_update`."""
        if not self.per_update:
            return {}
        name = f"{self.quantities[0].name}_per_update"
        numbers = [
            np.arange(record["step"] - len(record[name]), record["step"]) + 1
            for record in self._records
        ]
        return {"update": np.concatenate(numbers)}

    def attributes(self) -> dict[str, Any]:
        """Returns how many updates were skipped or not finite."""
        first = [
            record["step"] - record["since_nonfinite"] + 1
            for record in self._records
            if record["since_nonfinite"]
        ]
        # Includes those since the last record: if all updates are skipped, no record follows.
        unrecorded = self._reader.skipped if self._reader is not None else 0
        attributes = {"skipped_updates": sum(r["skipped"] for r in self._records) + unrecorded}
        if any(quantity.name == "gradient_norm" for quantity in self.quantities):
            attributes["first_nonfinite_update"] = first[0] if first else -1
            attributes["nonfinite_updates"] = sum(r["nonfinite"] for r in self._records)
        return attributes

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {
            **super().settings(),
            "per_update": self.per_update,
            "quantities": [_reference(quantity) for quantity in self.quantities],
        }

    def _explain_missing(self) -> None:
        self._missing = {}
        first = self.quantities[0].name
        measured = [record for record in self._records if record["updates"]]
        for place, row in enumerate(self._rows):
            if measured and not any(record["updates_of"][place] for record in measured):
                why = self._why_no_gradient(place)
                self._missing |= {
                    f"{q.name}/{row.name}": why
                    for q in self.quantities
                    if all(math.isnan(record[q.name][place]) for record in measured)
                }
        lost = sum(record["lost"] for record in self._records)
        if lost:
            self._missing[f"{first}_per_update"] = (
                f"The values of {lost} updates were overwritten before they were read. Take a "
                f"record at least every {self._reader.ring_rows if self._reader else RING_ROWS} "
                "updates."
            )
        last = self._records[-1]
        if last["step"] > self._records[0]["step"] and not measured and not self._interrupted:
            self._missing[first] = (
                "None of the followed optimizers applied gradients. Pass the optimizer that trains "
                "the model as `optimizer`."
            )

    def _why_no_gradient(self, place: int) -> str:
        row = self._rows[place]
        if not any(variable.trainable for variable in row.variables):
            return "No gradient reaches the layer, since it is frozen."
        if self._unseen.moved is not None and self._unseen.moved[place]:
            return (
                "None of the followed optimizers updates the layer, but its weights change: "
                "another optimizer trains it, or its weights are assigned."
            )
        return (
            "No gradient reaches the layer: the loss does not depend on it, or the training step "
            "does not train it."
        )


def _checked(quantities: tuple[StepQuantity, ...]) -> list[StepQuantity]:
    if not quantities:
        raise ValueError(
            "StepQuantities received no quantity to record. Pass at least one StepQuantity, for "
            "example SignAgreement()."
        )
    names: set[str] = set()
    for quantity in quantities:
        if not isinstance(quantity, StepQuantity):
            hint = " Did you forget the parentheses?" if isinstance(quantity, type) else ""
            raise ValueError(
                "StepQuantities expects objects of a subclass of StepQuantity; received "
                f"{quantity!r}.{hint}"
            )
        _check_name(quantity)
        _check_of_frozen(quantity)
        used = {quantity.name, f"{quantity.name}_per_update"}
        if used & names:
            raise ValueError(
                "StepQuantities received two quantities that both need the name "
                f"'{min(used & names)}'. Rename one of them."
            )
        names |= used
    return list(quantities)


def _check_of_frozen(quantity: StepQuantity) -> None:
    if not isinstance(quantity.of_frozen, int | float | np.number):
        raise ValueError(
            f"`of_frozen` of the quantity {type(quantity).__name__} must be a number, or NaN; "
            f"received {quantity.of_frozen!r}."
        )


def _check_name(quantity: StepQuantity) -> None:
    """Refuses a name under which a run holds something else."""
    kind, name = type(quantity), quantity.name
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"The `name` of the quantity {kind.__name__} must be an identifier of letters, digits "
            f"and underscores; received {name!r}."
        )
    for used in (name, f"{name}_per_update"):
        in_run = schema.is_taken(used) and not kind.__module__.startswith("keras_lcb.")
        if in_run or used in _COUNTS or used in COMMON_ENTRIES:
            raise ValueError(
                f"The quantity {kind.__name__} has the name '{name}', but '{used}' already has "
                "another meaning in a run. Choose another `name`."
            )


def _described(quantity: StepQuantity) -> dict[str, str]:
    return {"long_name": quantity.long_name or quantity.name, "units": quantity.units}


def _reference(quantity: StepQuantity) -> dict[str, Any]:
    """Returns a quantity's class path and its plain attributes, as values for JSON."""
    kind = type(quantity)
    plain = {n: v for n, v in vars(quantity).items() if isinstance(v, (bool, int, float, str))}
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "attributes": plain}


def _warn_of_earlier_loggers(callback: StepQuantities) -> None:
    """Warns if loggers write an epoch's logs before this callback has added to them."""
    earlier = [
        type(other).__name__
        for other in callbacks_before(callback)
        if isinstance(other, _LOGGERS) or type(other).__module__.split(".")[0] in _LOGGING_PACKAGES
    ]
    name = type(callback).__name__
    if earlier:
        warnings.warn(
            f"{', '.join(earlier)} comes before {name}(log=True) in the list of callbacks, so it "
            f"will not write what {name} logs. Put {name} first.",
            stacklevel=2,
        )
