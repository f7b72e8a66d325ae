"""A training that pauses at some moments to measure the loss around each of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_lcb.lab.engine.loss_around_layers import LossAroundLayers
from keras_lcb.lab.engine.training import Training
from keras_lcb.lab.views.flatness_view import FlatnessView, with_moments
from keras_lcb.synthetic import Config

_MOMENTS = 9  # the number of measurements along a training, with its start and its end


class FlatnessTraining(Training):
    """Trains one network and measures along the way, in pieces between which it can stop.

    Args:
        config, planned: See `Training`.
    """

    def __init__(self, config: Config, planned: Sequence[tuple[int, float]] = ()) -> None:
        super().__init__(config, planned)
        self._surroundings = LossAroundLayers(self._model, self._x[:, np.newaxis], self._y)
        records = config.updates // config.record_every
        self._moments = set(np.linspace(0, records, _MOMENTS).round().astype(int).tolist())
        self._pieces: Iterator[None] | None = None  # the rest of an unfinished measurement

    @property
    def done(self) -> bool:
        """Whether training and measurements are complete, or the loss is not finite."""
        return super().done and not self._is_due()

    @property
    def news(self) -> int:
        """A number that grows with everything that `view` shows; 0 if there is no view yet."""
        return self._records and self._records + len(self._surroundings.moments)

    def advance(self, enough: Callable[[], bool]) -> None:
        """Continues to train and to measure until all is done or `enough()` is true.

        `enough` is called after each record and each piece of a measurement.
        """
        while not self.done:
            if self._is_due():
                self._pieces = self._pieces or self._surroundings.measure(self.step)
                for _ in self._pieces:
                    if enough():
                        return
                self._pieces = None
            else:
                super().advance(lambda: enough() or self._is_due())
            if enough():
                return

    def view(self) -> FlatnessView:
        """Returns the current view, with a provisional endpoint. Any thread may call this."""
        moments = tuple(self._surroundings.moments)
        return with_moments(super().view(), moments, self._surroundings.alphas, self.learning_rate)

    def _parts(self) -> tuple[Any, ...]:
        return (*super()._parts(), self._surroundings)

    def _is_due(self) -> bool:
        """Returns whether a measurement is due now and not yet complete."""
        measured = {moment.step for moment in self._surroundings.moments}
        return not self.diverged and self._records in self._moments and self.step not in measured
