"""A training that rests at some moments, to measure the loss around each of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_lcb.lab.flatness_view import FlatnessView, with_moments
from keras_lcb.lab.surroundings import Surroundings
from keras_lcb.lab.training import Training
from keras_lcb.synthetic import Config

_MOMENTS = 9  # along a training, its start and its end among them


class FlatnessTraining(Training):
    """Trains one network, measures along the way, and can stop after any piece of either.

    Args:
        config: The experiment.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._surroundings = Surroundings(self._model, self._x[:, np.newaxis], self._y)
        records = config.updates // config.record_every
        self._moments = set(np.linspace(0, records, _MOMENTS).round().astype(int).tolist())
        self._pieces: Iterator[None] | None = None  # of a measurement that is under way

    @property
    def done(self) -> bool:
        """Whether all is trained and measured, or the loss is no number any more."""
        return super().done and not self._is_due()

    @property
    def news(self) -> int:
        """Grows with all that `view` shows; 0 while there is nothing to see."""
        return self._records and self._records + len(self._surroundings.moments)

    def advance(self, enough: Callable[[], bool]) -> None:
        """Measure and train on, until all is done or `enough`, asked at each piece of either."""
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
        """Return what can be seen now, from any thread; its endpoint is provisional."""
        moments = tuple(self._surroundings.moments)
        return with_moments(super().view(), moments, self._surroundings.alphas, self.learning_rate)

    def _parts(self) -> tuple[Any, ...]:
        return (*super()._parts(), self._surroundings)

    def _is_due(self) -> bool:
        """Whether this is a moment to measure at that is not measured yet."""
        measured = {moment.step for moment in self._surroundings.moments}
        return not self.diverged and self._records in self._moments and self.step not in measured
