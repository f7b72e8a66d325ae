"""`watch`: any compiled model's training, live in a notebook, in one line."""

from __future__ import annotations

import atexit
import html
import math
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import xarray as xr

from keras_lcb.lab.screen.notebook_cells import remember
from keras_lcb.lab.views.form import form_of
from keras_lcb.lab.views.layers import layers_view_of
from keras_lcb.lab.views.sentence import describe_layers, found_in
from keras_lcb.viewer.widget import Viewer

if TYPE_CHECKING:
    import keras

    from keras_lcb.lab.engine.watched_training import WatchedTraining

_RECORDS = 100  # of a training: enough for smooth lines
_PICTURE_EVERY = 0.05  # seconds
_SHARE = 5.0  # between two pictures, there is at least so many times the time that one takes


def watch(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    epochs: int = 10,
    every: str | int | None = None,
    layers: Any = None,
    **fit: Any,
) -> Watched:
    """Trains a model, and shows live how its layers learn.

    Call it in the last line of a cell. Training begins at once, in the background, through
    `model.fit` with `LayerConvergence` and `GradientNorms`, and with `Filters` if the model is
    built and has convolutions; it can be paused and stopped. Distances are measured to the newest
    weights while it goes on, and to its last weights in the end. Then a sentence also tells the
    most certain finding of `diagnose`, if there is one. The cost is that of the callbacks, and a
    fifth of one core for the pictures at most.

    Args:
        model: A compiled model.
        x: Inputs, or a data set, as `fit` takes them.
        y: Targets, where `x` does not hold them. Defaults to `None`.
        epochs: The number of epochs. Defaults to 10.
        every: When to record: "epoch" or a number of updates. Defaults to `None`: about a hundred
            times if the number of updates is known beforehand, else each epoch.
        layers: Which layers to record, see `LayerConvergence`. Defaults to `None`: all.
        **fit: More arguments of `fit`, such as `batch_size` or `validation_data`. `verbose` is 0 if
            it is not given.

    Returns:
        What is shown, with the methods `pause`, `go_on`, `stop` and `wait`, and the attributes
        `run` (an `xarray.Dataset`), `state` and `widget`.

    Raises:
        ValueError: If the model is not compiled.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> watched = watch(model, np.ones((64, 2)), np.ones((64, 1)), epochs=2)
        >>> watched.wait()
        True
        >>> watched.run.sizes["layer"], watched.state
        (2, 'done')
    """
    from keras_lcb.lab.engine.watched_training import WatchedTraining

    if not getattr(model, "compiled", False):
        raise ValueError(
            f"The model must be compiled; received '{model.name}', which is not. Call "
            "`model.compile(optimizer, loss)` first."
        )
    accumulated = getattr(model.optimizer, "gradient_accumulation_steps", None) or 1
    updates = _batches(x, epochs - int(fit.get("initial_epoch", 0)), fit) // accumulated
    if every is None:
        every = max(1, updates // _RECORDS) if updates else "epoch"
    given = {"verbose": 0, **fit, "x": x, "y": y, "epochs": epochs}
    return Watched(WatchedTraining(model, every, layers, updates, given))


class Watched:
    """A training that is watched; see `watch`.

    Args:
        training: The training, which this starts.

    Attributes:
        widget: What is shown, an ipywidgets widget.
        sentence: What the pictures show, in words; in the end, also what is wrong with the run.
    """

    def __init__(self, training: WatchedTraining) -> None:
        self._training = training
        self._viewer: Viewer | None = None  # made with the first view, which knows the layers
        self._run: xr.Dataset | None = None
        self.sentence = ""
        self._status = widgets.HTML()
        self._pause = widgets.Button(description="Pause", tooltip="Pause the training, or go on")
        self._stop = widgets.Button(description="Stop", tooltip="End the training, keep the run")
        self._pause.on_click(lambda _: self._toggle())
        self._stop.on_click(lambda _: self.stop())
        self._pictures = widgets.VBox([], layout={"width": "100%"})
        buttons = widgets.HBox([self._pause, self._stop, self._status])
        self.widget = widgets.VBox([buttons, self._pictures])
        self._drawing = threading.Thread(target=self._draw, name="keras_lcb.lab", daemon=True)
        training.start()
        self._drawing.start()
        _watched.add(self)
        remember(self)

    @property
    def run(self) -> xr.Dataset:
        """The run so far.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        return self._training.run() if self._run is None else self._run

    @property
    def state(self) -> str:
        """What it is doing: "training", "paused", "done", "stopped" or "failed"."""
        return self._training.state

    def pause(self) -> None:
        """Pauses the training after the current batch."""
        self._training.pause(True)

    def go_on(self) -> None:
        """Goes on with a paused training."""
        self._training.pause(False)

    def stop(self) -> None:
        """Ends the training after the current batch, and keeps its run."""
        self._training.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until training has ended and is shown, and returns whether that is so."""
        ended = self._training.wait(timeout)
        if ended:
            self._drawing.join(timeout)
        return ended and not self._drawing.is_alive()

    def close(self) -> None:
        """Ends the training, waits for its threads, and removes the pictures from the page."""
        self.stop()
        self.wait(5.0)
        self.widget.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        shown = self.widget._repr_mimebundle_(**kwargs) or {}
        return {**shown, "text/plain": f"<Watched: {self.state}> {self.sentence}".strip()}

    def _toggle(self) -> None:
        (self.go_on if self.state == "paused" else self.pause)()
        self._say()

    def _draw(self) -> None:
        drawn = 0
        while not self._training.wait(0):
            began = time.perf_counter()
            if self._training.records > drawn:
                drawn = self._training.records
                self._show(self._training.view())
            self._say()
            took = time.perf_counter() - began
            self._training.wait(max(_PICTURE_EVERY, _SHARE * took) - took)
        if self._training.records:
            self._end()
        self._say()

    def _show(self, view: Any) -> None:
        form = form_of(view)
        if self._viewer is None:
            self._viewer = Viewer(form)
            self._pictures.children = [self._viewer]
        else:
            self._viewer.more(form)
        self.sentence = describe_layers(view)

    def _end(self) -> None:
        self._run = self._training.run()
        if self._viewer is None:
            self._show(self._training.view())
        assert self._viewer is not None
        self._viewer.show(self._run)
        told = describe_layers(layers_view_of(self._run))
        self.sentence = " ".join(filter(None, [told, found_in(self._run)]))

    def _say(self) -> None:
        training = self._training
        self._pause.disabled = self._stop.disabled = not training.active
        self._pause.description = "Go on" if training.state == "paused" else "Pause"
        text = f"{training.state}. {training.error or self.sentence}"
        live = "off" if training.active else "polite"
        shown = f"<p role='status' aria-live='{live}'>{html.escape(text)}</p>"
        if self._status.value != shown:
            self._status.value = shown


def _batches(x: Any, epochs: int, fit: dict[str, Any]) -> int:
    """Returns how many batches `fit` will take; 0 if that is not known."""
    if fit.get("steps_per_epoch"):
        return epochs * int(fit["steps_per_epoch"])
    shape = getattr(x, "shape", None)
    if not shape:
        return 0
    samples = int(shape[0]) * (1 - float(fit.get("validation_split", 0.0)))
    return epochs * math.ceil(samples / (fit.get("batch_size") or 32))


_watched: weakref.WeakSet[Watched] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Ends all trainings, since Python crashes if it exits while a thread runs TensorFlow."""
    for each in list(_watched):
        each.stop()
        each.wait(5.0)
