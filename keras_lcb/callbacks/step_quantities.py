"""The `StepQuantities` callback: records what is measured inside the training step."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.quantities import StepQuantity
from keras_lcb.runs import schema
from keras_lcb.training.meter import RING_ROWS
from keras_lcb.training.reader import Reader, Taken
from keras_lcb.training.selection import LayerSelection

_LOGGERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    keras.callbacks.RemoteMonitor,
)
_LOGGING_PACKAGES = {"mlflow", "wandb", "comet_ml", "neptune", "clearml"}


class StepQuantities(Recorder):
    """Records quantities of each layer that are measured inside the training step.

    Sums stay on the device until a record is due, and what is computed in several callbacks is
    computed once. Model, optimizer and saved files stay as they are. What a quantity costs is what
    its `update` computes, in each step.

    Args:
        *quantities: What to record, objects of subclasses of `StepQuantity`.
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        per_update: Whether to keep each update's own numbers, too. Defaults to `False`.
        layers: `None` for every layer; "blocks" for blocks, as far as names tell them; a list of
            layer names, of names of nested models, or of Keras layers, each read as one; or a
            function from a Keras layer to the name of its group, `None` to leave it out. Defaults
            to `None`.
        log: Whether to put `<name>/<layer>`, over the epoch, into the epoch's logs, where
            `History` and the loggers that stand later in the list of callbacks find them.
            Defaults to `False`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.
        optimizer: The optimizer, or a list of them, that train the model, where they are no
            attributes of it. Defaults to `None`: they are found.

    Attributes:
        results: The run, an `xarray.Dataset` with a variable (step, layer) for each quantity: over
            the updates since the previous record in which the layer had a gradient; NaN before
            training. With `per_update`, also `<name>_per_update` (update, layer); NaN where the
            layer took no part.

    Raises:
        ValueError: If there is no quantity, or its name is one that runs use for something else;
            before training, for a model without an optimizer, an unknown layer, or a quantity
            that cannot be traced.

    Example:
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
        self._reader: Reader | None = None  # since the last record
        self._epoch_reader: Reader | None = None  # since the epoch began, for its logs

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model."""
        super().set_model(model)
        if self.log:
            _warn_of_earlier_loggers(self)

    def attached(self) -> None:
        """Says what is to be measured in the step."""
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

    def _take_part_late(self) -> None:
        assert self._tap is not None
        for reader in (self._reader, self._epoch_reader):
            if reader is not None:
                self._tap.attach(reader)

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained by other means than `fit`."""
        super().track(model, optimizer)
        assert self._tap is not None
        self._take_part_late()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        super().on_epoch_begin(epoch, logs)
        if self._epoch_reader is not None:
            self._take_of(self._epoch_reader)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due, and adds to the epoch's logs if asked to."""
        super().on_epoch_end(epoch, logs)
        if self._epoch_reader is not None and logs is not None:
            for name, values in self._take_of(self._epoch_reader).values.items():
                for row, value in zip(self._rows, values, strict=True):
                    logs[f"{name}/{row.name}"] = float(value)

    # Recording.

    def _take_of(self, reader: Reader) -> Taken:
        """Takes what a reader has gathered until now."""
        assert self._tap is not None
        self._tap.drain()
        self._tap.begin_windows(reader)
        return reader.take()

    def measure(self) -> Record:
        """Takes what was added up since the last record."""
        assert self._reader is not None
        taken = self._take_of(self._reader)
        record: Record = dict(taken.values)
        record |= {f"{name}_per_update": values for name, values in taken.each.items()}
        return record | {
            "updates": taken.updates,
            "updates_of": taken.updates_of,
            "nonfinite": taken.nonfinite,
            "since_nonfinite": taken.since_nonfinite,
            "skipped": taken.skipped,
            "lost": taken.lost,
        }

    def _undone(self, step: int) -> bool:
        assert self._reader is not None and self._tap is not None
        self._tap.drain()
        return self._reader.updates != step - self._last_step()

    def _forget_unrecorded(self) -> None:
        super()._forget_unrecorded()
        if self._reader is not None:
            self._take_of(self._reader)

    # The run.

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        variables: dict[str, tuple[Any, ...]] = {}
        for quantity in self.quantities:
            values = np.stack([record[quantity.name] for record in self._records])
            variables[quantity.name] = (("step", "layer"), values, _described(quantity))
        if self.per_update:
            for quantity in self.quantities:
                name = f"{quantity.name}_per_update"
                values = np.concatenate([record[name] for record in self._records])
                described = {**_described(quantity), "long_name": f"{quantity.long_name}, each"}
                variables[name] = (("update", "layer"), values, described)
        return variables

    def coordinates(self) -> dict[str, Any]:
        """Returns the values along further dimensions."""
        if not self.per_update:
            return {}
        numbers: list[int] = []
        for record in self._records:
            count = len(record[f"{self.quantities[0].name}_per_update"])
            numbers.extend(range(record["step"] - count + 1, record["step"] + 1))
        return {"update": numbers}

    def attributes(self) -> dict[str, Any]:
        """Returns what is known of the run as a whole."""
        first = [
            record["step"] - record["since_nonfinite"] + 1
            for record in self._records
            if record["since_nonfinite"]
        ]
        # Those since the last record, too: where all are skipped, there is no other.
        waiting = self._reader.skipped if self._reader is not None else 0
        attributes = {"skipped_updates": sum(r["skipped"] for r in self._records) + waiting}
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
                f"{lost} updates were overwritten before they were read: take a record at least "
                f"every {self._reader.ring_rows if self._reader else RING_ROWS} updates."
            )
        last = self._records[-1]
        if last["step"] > self._records[0]["step"] and not measured:
            self._missing[first] = (
                "No optimizer that is followed passed gradients through the step that is measured."
            )

    def _why_no_gradient(self, place: int) -> str:
        row = self._rows[place]
        if not any(variable.trainable for variable in row.variables):
            return "No gradient reaches the layer: it is frozen."
        if self._unseen.moved is not None and self._unseen.moved[place]:
            return (
                "No optimizer that is followed updates the layer, and yet it moves: by another "
                "optimizer, or by assignment."
            )
        return "No gradient reaches the layer: the loss does not depend on it, or it is left out."


def _checked(quantities: tuple[StepQuantity, ...]) -> list[StepQuantity]:
    if not quantities:
        raise ValueError(
            "There is nothing to record: pass a StepQuantity, such as SignAgreement()."
        )
    names: set[str] = set()
    for quantity in quantities:
        if not isinstance(quantity, StepQuantity):
            hint = " Did you forget the parentheses?" if isinstance(quantity, type) else ""
            raise ValueError(
                f"StepQuantities records objects of StepQuantity; received {quantity!r}.{hint}"
            )
        _check_name(quantity)
        if quantity.name in names:
            raise ValueError(f"Two quantities are called '{quantity.name}'. Give one another name.")
        names.add(quantity.name)
    return list(quantities)


def _check_name(quantity: StepQuantity) -> None:
    """Refuses a name under which a run holds something else."""
    kind, name = type(quantity), quantity.name
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(
            f"The quantity {kind.__name__} needs a `name` that can be a variable's, of letters, "
            f"digits and _; received {name!r}."
        )
    for used in (name, f"{name}_per_update"):
        if schema.is_taken(used) and not kind.__module__.startswith("keras_lcb."):
            raise ValueError(
                f"The quantity {kind.__name__} is called '{name}', but '{used}' means something "
                "else in a run. Give it another `name`."
            )


def _described(quantity: StepQuantity) -> dict[str, str]:
    return {"long_name": quantity.long_name or quantity.name, "units": quantity.units}


def _reference(quantity: StepQuantity) -> dict[str, Any]:
    """Returns where a quantity's class is, and what its object was made with, as JSON has it."""
    kind = type(quantity)
    plain = {n: v for n, v in vars(quantity).items() if isinstance(v, (bool, int, float, str))}
    return {"class": f"{kind.__module__}.{kind.__qualname__}", "attributes": plain}


def _warn_of_earlier_loggers(callback: StepQuantities) -> None:
    """Warns of loggers that write an epoch's logs before this callback has added to them."""
    earlier = [
        type(other).__name__
        for other in _callbacks_before(callback)
        if isinstance(other, _LOGGERS) or type(other).__module__.split(".")[0] in _LOGGING_PACKAGES
    ]
    name = type(callback).__name__
    if earlier:
        warnings.warn(
            f"{', '.join(earlier)} stands before {name}(log=True) in the list of callbacks and "
            f"will not see what it logs. Put {name} first.",
            stacklevel=2,
        )


def _callbacks_before(callback: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """The callbacks that Keras calls before this one.

    A callback is not told of the list it stands in, but the list is what calls `set_model`.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks[: caller.callbacks.index(callback)]
        frame = frame.f_back
    return []
