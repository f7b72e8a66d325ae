"""One `fit` of any model, in a thread, which can be paused and stopped after any batch."""

from __future__ import annotations

import threading
from typing import Any

import keras
import xarray as xr

from keras_lcb.callbacks import Filters, GradientNorms, LayerConvergence
from keras_lcb.callbacks.filters import has_filters
from keras_lcb.lab.engine.live import along
from keras_lcb.lab.views.images_view import with_filters
from keras_lcb.lab.views.layers import LayersView
from keras_lcb.runs.merging import collect


class WatchedTraining:
    """Trains a model with `fit`, and has views of it. Any thread may call the methods.

    Args:
        model: A compiled model.
        every: When to record, see `LayerConvergence`.
        layers: Which layers to record, see `LayerConvergence`.
        updates: The planned number of updates; 0 if it is not known.
        fit: The arguments of `fit`.

    Attributes:
        state: "training", "paused", "done", "stopped" or "failed".
        error: What went wrong, if `state` is "failed".
        held: Whether it waits after a batch, since it was paused.
    """

    def __init__(
        self, model: keras.Model, every: str | int, layers: Any, updates: int, fit: dict[str, Any]
    ) -> None:
        self.state, self.error, self.held = "training", "", False
        self.updates = updates
        self._model, self._fit = model, fit
        self._convergence = LayerConvergence(every, layers=layers)
        self._gradients = GradientNorms(every, layers=layers)
        self._filters = Filters(every, layers=layers) if has_filters(model, layers) else None
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._stopped = False
        self._thread = threading.Thread(target=self._train, name="keras_lcb.lab", daemon=True)

    @property
    def active(self) -> bool:
        """Whether training goes on or is paused."""
        return self.state in ("training", "paused")

    def start(self) -> None:
        """Starts the training."""
        self._thread.start()

    def pause(self, paused: bool) -> None:
        """Pauses the training after the current batch, or goes on. After `stop`, does nothing."""
        if self.active and not self._stopped:
            self.state = "paused" if paused else "training"
            (self._may_go_on.clear if paused else self._may_go_on.set)()

    def stop(self) -> None:
        """Ends the training after the current batch."""
        self._stopped = True
        self._may_go_on.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the end of the training, and returns whether it has ended."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def records(self) -> int:
        """The number of records so far."""
        return min(len(each.records) for each in self._recorders)

    @property
    def _recorders(self) -> list[Any]:
        known = [self._convergence, self._gradients, self._filters]
        return [each for each in known if each is not None]

    def view(self) -> LayersView:
        """Returns the view of the newest record, measured to the weights of that record."""
        count, rows = self.records, self._convergence.followed
        view = LayersView(
            layers=tuple(row.name for row in rows),
            heads=tuple(row.name for row in rows if row.role == "head"),
            updates=self.updates,
            **along(self._convergence.records[:count], self._gradients.records[:count]),
            provisional=True,
        )
        if self._filters is None:
            return view
        return with_filters(view, self._filters.records[count - 1]["filters"])

    def run(self) -> xr.Dataset:
        """Returns the run so far."""
        return collect(*self._recorders)

    def _train(self) -> None:
        gate = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: self._gate())
        given = self._fit.get("callbacks") or []  # as `fit` takes them: one, or several
        try:
            callbacks = [*keras.tree.flatten(given), *self._recorders, gate]
            self._model.fit(**{**self._fit, "callbacks": callbacks})
            self.state = "stopped" if self._stopped else "done"
        except Exception as error:  # raised in a thread, it would not reach the user
            self.error = f"{type(error).__name__}: {error}"
            self.state = "failed"

    def _gate(self) -> None:
        self.held = not self._may_go_on.is_set()
        self._may_go_on.wait()
        self.held = False
        if self._stopped:
            self._model.stop_training = True
