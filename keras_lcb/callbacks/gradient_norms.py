"""The `GradientNorms` callback: how large each layer's gradients and updates are."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.recorder import Record, Recorder
from keras_lcb.training.layers import LayerSelection
from keras_lcb.training.meter import RING_ROWS, Window
from keras_lcb.training.tap import GradientTap, tap_of

_LOGGERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
    keras.callbacks.RemoteMonitor,
)
_LOGGING_PACKAGES = {"mlflow", "wandb", "comet_ml", "neptune", "clearml"}


class GradientNorms(Recorder):
    """Records the norms of each layer's gradients and updates, measured inside the training step.

    Norms are of the effective gradient: unscaled under mixed precision, of the accumulated batch
    where gradients are accumulated, before clipping, and without the steps that a loss scaler
    leaves out. The sums stay on the device until a record is due; the gradients are those that
    training computes anyway. Model, optimizer and saved files stay as they are.

    Args:
        every: When a record is taken: "epoch", or a number of updates n: at the first return to
            the host at or after each multiple of n. Defaults to "epoch".
        per_update: Whether to keep each update's norms too. Defaults to `False`.
        layers: `None` for every layer; a list of layer names, or prefixes that read all layers
            below as one; or a function from a Keras layer to the name of its group, `None` to
            leave it out. Defaults to `None`.
        log: Whether to put `gradient_norm/<layer>` and `update_norm/<layer>`, RMS over the epoch,
            into the epoch's logs, where `History` and the loggers that stand later in the list
            of callbacks find them. Defaults to `False`.
        backup: A folder that keeps the record, written at each one; a new process with the same
            folder goes on from it. Defaults to `None`.

    Attributes:
        results: The run, an `xarray.Dataset` with `gradient_norm` and `update_norm`
            (step, layer): RMS over the updates since the previous record, NaN before training
            and for a layer that no gradient reaches. With `per_update`, also
            `gradient_norm_per_update` and `update_norm_per_update` (update, layer).

    Raises:
        ValueError: Before training, for a model that is not built or compiled, an unknown layer,
            or an optimizer whose gradients cannot be followed (several in one, several replicas).

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> gradients = GradientNorms()
    >>> x, y = np.ones((8, 2)), np.zeros((8, 1))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[gradients])
    >>> gradients.results.gradient_norm.sel(layer="lin").shape
    (3,)
    """

    def __init__(
        self,
        every: str | int = "epoch",
        per_update: bool = False,
        layers: LayerSelection = None,
        *,
        log: bool = False,
        backup: str | os.PathLike[str] | None = None,
    ) -> None:
        self.per_update = per_update
        self.log = log
        super().__init__(every, layers, backup)

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        super().reset()
        self._tap: Any = None  # set with the model
        self._window: Any = None  # a Window since the last record
        self._epoch_window: Window | None = None  # since the epoch began, for its logs
        self._places: list[list[int]] = []
        self._drained_batch = 0

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model."""
        super().set_model(model)
        self._attach(tap_of(model, model.optimizer))
        if self.log:
            _warn_of_earlier_loggers(self)

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained by other means than `fit`."""
        super().track(model, optimizer)
        self._attach(optimizer if hasattr(optimizer, "meter") else tap_of(model, optimizer))
        self._tap.hold()

    def release(self) -> None:
        """Lets go of what `track` has attached to."""
        if self._tap is not None:
            self._tap.close()

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the tap."""
        super().on_train_begin(logs)
        self._tap.open()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        if isinstance(self._tap, GradientTap):
            self._tap.carry_state()
        super().on_epoch_begin(epoch, logs)
        self._drained_batch = 0
        if self.per_update or self._epoch_window is not None:
            self._tap.drain()
        if self._epoch_window is not None:
            self._epoch_window.take()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due, and adds to the epoch's logs if asked to."""
        super().on_epoch_end(epoch, logs)
        if self._epoch_window is not None and logs is not None:
            self._tap.drain()
            gradient, update = self._norms(self._epoch_window.take())
            for row, g, u in zip(self._rows, gradient, update, strict=True):
                logs[f"gradient_norm/{row.name}"] = float(g)
                logs[f"update_norm/{row.name}"] = float(u)

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record and closes the tap."""
        super().on_train_end(logs)
        self._tap.close()

    # Recording.

    def _attach(self, tap: GradientTap) -> None:
        """Reads from `tap` from now on, and goes on with what was read so far."""
        if self.per_update:
            steps = getattr(tap.model, "steps_per_execution", 1)
            tap.keep_each_update(max(RING_ROWS, 2 * steps))
        if self._window is None:
            self._window = tap.meter.window()
            self._epoch_window = tap.meter.window() if self.log else None
        for window in (self._window, self._epoch_window):
            if window is not None:
                tap.meter.attach(window)
        place = {id(variable): index for index, variable in enumerate(tap.variables)}
        self._places = [[place[id(v)] for v in row.variables] for row in self._rows]
        self._tap = tap

    def _needs_batches(self) -> bool:
        return self.per_update or super()._needs_batches()

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        super()._after_batch(batch, logs)
        if self.per_update:
            # The ring must be read before it comes round.
            ahead = getattr(self._tap.model, "steps_per_execution", 1)
            if batch + 1 - self._drained_batch + ahead > self._tap.meter.ring_rows:
                self._tap.drain()
                self._drained_batch = batch + 1

    def _measure(self) -> Record:
        self._tap.drain()
        window = self._window.take()
        gradient, update = self._norms(window)
        record = {"gradient_norm": gradient, "update_norm": update, "updates": window.updates}
        record |= {
            "nonfinite": window.nonfinite,
            "since_nonfinite": window.since_nonfinite,
            "skipped": window.skipped,
            "lost": window.lost,
        }
        if self.per_update:
            rows = np.concatenate([np.zeros((0, 2, self._tap.meter.count)), *window.rows])
            record["gradient_norm_per_update"] = self._gradient_norms(rows[:, 0])
            record["update_norm_per_update"] = self._layer_norms(rows[:, 1])
        return record

    def _undone(self, step: int) -> bool:
        self._tap.drain()
        return self._window.updates != step - self._last_step()

    def _forget_unrecorded(self) -> None:
        super()._forget_unrecorded()
        self._tap.drain()
        self._window.take()

    def _norms(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """RMS norms of the gradient and the update, one a row."""
        if not window.updates:
            nothing = np.full(len(self._rows), math.nan)
            return nothing, nothing
        return (
            self._gradient_norms(window.gradient_squares / window.updates),
            self._layer_norms(window.update_squares / window.updates),
        )

    def _gradient_norms(self, squares: np.ndarray) -> np.ndarray:
        reached = self._tap.meter.with_gradient
        norms = self._layer_norms(squares)
        norms[..., [not reached.intersection(places) for places in self._places]] = math.nan
        return norms

    def _layer_norms(self, squares: np.ndarray) -> np.ndarray:
        """From squares over the variables (last axis) to norms over the rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.sqrt(
                np.stack([squares[..., places].sum(axis=-1) for places in self._places], axis=-1)
            )

    # The run.

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        self._explain_missing()
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            name: (("step", "layer"), np.stack([record[name] for record in self._records]))
            for name in ("gradient_norm", "update_norm")
        }
        if self.per_update:
            for name in ("gradient_norm_per_update", "update_norm_per_update"):
                values = np.concatenate([record[name] for record in self._records])
                variables[name] = (("update", "layer"), values)
        return variables

    def _coordinates(self) -> dict[str, Any]:
        if not self.per_update:
            return {}
        numbers: list[int] = []
        for record in self._records:
            count = len(record["gradient_norm_per_update"])
            numbers.extend(range(record["step"] - count + 1, record["step"] + 1))
        return {"update": numbers}

    def _attributes(self) -> dict[str, Any]:
        first = [
            record["step"] - record["since_nonfinite"] + 1
            for record in self._records
            if record["since_nonfinite"]
        ]
        return {
            "first_nonfinite_update": first[0] if first else -1,
            "nonfinite_updates": sum(record["nonfinite"] for record in self._records),
            # Those since the last record, too: where all are skipped, there is no other.
            "skipped_updates": sum(record["skipped"] for record in self._records)
            + self._window.skipped,
        }

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "per_update": self.per_update}

    def _explain_missing(self) -> None:
        self._missing = {}
        measured = [record for record in self._records if record["updates"]]
        for place, row in enumerate(self._rows):
            if measured and all(math.isnan(r["gradient_norm"][place]) for r in measured):
                finite = any(not math.isnan(r["update_norm"][place]) for r in measured)
                if finite:
                    self._missing[f"gradient_norm/{row.name}"] = (
                        "No gradient reaches the layer: it is frozen, or the loss does not "
                        "depend on it."
                    )
        lost = sum(record["lost"] for record in self._records)
        if lost:
            self._missing["gradient_norm_per_update"] = (
                f"{lost} updates were overwritten before they were read: take a record at least "
                f"every {self._tap.meter.ring_rows} updates."
            )
        last = self._records[-1]
        if last["step"] > self._records[0]["step"] and not measured:
            self._missing["gradient_norm"] = (
                "The optimizer never passed its gradients through the step that is measured."
            )


def _warn_of_earlier_loggers(callback: GradientNorms) -> None:
    """Warns of loggers that write an epoch's logs before this callback has added to them."""
    earlier = [
        type(other).__name__
        for other in _callbacks_before(callback)
        if isinstance(other, _LOGGERS) or type(other).__module__.split(".")[0] in _LOGGING_PACKAGES
    ]
    if earlier:
        warnings.warn(
            f"{', '.join(earlier)} stands before GradientNorms(log=True) in the list of callbacks "
            "and will not see its norms. Put GradientNorms first.",
            stacklevel=2,
        )


def _callbacks_before(callback: GradientNorms) -> list[keras.callbacks.Callback]:
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
