"""One training of a lab in which layers freeze, with the time that its updates take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb.freezing import FreezeConverged
from keras_lcb.lab.engine.image_networks import prepared
from keras_lcb.lab.engine.layers_training import LayersTraining
from keras_lcb.lab.views.freezing_view import FreezingView, of_layers
from keras_lcb.vision import Config, ImageData


class FreezingTraining(LayersTraining):
    """Trains a network on images, freezes its layers, and measures time and test accuracy.

    Args:
        config: The experiment.
        freeze: What freezes the layers; `None` to freeze none.
        planned: Pairs of an update and the learning rate to set there. Defaults to none.
    """

    def __init__(
        self,
        config: Config,
        freeze: FreezeConverged | None,
        planned: Sequence[tuple[int, float]] = (),
    ) -> None:
        model, fit, self._data = prepared(config)
        self._stopwatch = _Stopwatch()
        self._freeze = freeze

        def timed(model: keras.Model, callbacks: list[Any], records: int) -> None:
            # First, so that the time of the callbacks that record is left out.
            fit(model, [self._stopwatch, *callbacks], records)

        super().__init__(model, config, timed, planned)
        if freeze is not None:
            self._recorders.append(freeze)

    def view(self) -> FreezingView:
        """Returns the current view, with a provisional endpoint. Any thread may call this."""
        view = super().view()
        return of_layers(view, self._frozen(view.step), self._times(len(view.steps)))

    def run(self) -> xr.Dataset:
        """Returns the run so far, with the time of its updates and its accuracy on test images."""
        run = super().run()
        times = self._times(run.sizes["step"])
        about_time = {"long_name": "mean time of an update since the last record", "units": "s"}
        about_right = {"long_name": "part of the test images that is read rightly", "units": "1"}
        return run.assign(
            update_time=("step", times, about_time),
            test_accuracy=((), _accuracy(self._model, self._data), about_right),
        )

    def _frozen(self, newest: int) -> list[tuple[int, tuple[str, ...]]]:
        events = [] if self._freeze is None else self._freeze.events
        together = itertools.groupby(events, lambda event: int(event["step"]))
        frozen = [
            (step, tuple(name for event in of_step for name in event["layers"]))
            for step, of_step in together
        ]
        return [(step, names) for step, names in frozen if step <= newest]

    def _times(self, records: int) -> np.ndarray:
        """Returns the mean time of an update before each record; NaN before training."""
        taken = np.array(self._stopwatch.seconds[: records - 1]) / self.config.record_every
        return np.concatenate([[np.nan], taken, np.full(records - 1 - len(taken), np.nan)])


class _Stopwatch(keras.callbacks.Callback):
    """Measures how many seconds each epoch takes. Compiling during an epoch counts, too."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def _accuracy(model: keras.Model, data: ImageData) -> float:
    right = []
    for images, labels in data.validation.as_numpy_iterator():
        scores = keras.ops.convert_to_numpy(model(images, training=False))
        right.append(scores.argmax(axis=-1) == labels)
    return float(np.concatenate(right).mean())
