"""The mean loss between two records, computed from Keras' running mean over the epoch."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np


class MeanLoss:
    """Computes the mean training loss since the last call of `take`.

    Keras reports the running mean over the samples of an epoch. A running mean times its number of
    samples is a sum, and the difference of two such sums is the sum over the samples between them.
    Where the number of samples is not known, batches stand for them, and a smaller last batch of an
    epoch counts as a whole one. Over whole epochs, the mean equals the one that Keras reports.

    A training step of the user's own may report the loss of its batch instead. Then the loss that
    was observed last stands for all batches since the last call of `take`.

    An evaluation within an epoch begins the running mean anew, and leaves its samples in it. So
    `go_on_from` is told what the mean is over then.

    Attributes:
        running: Whether running means are reported; `None` if that is not known yet.
    """

    def __init__(self) -> None:
        self.running: bool | None = None
        self._sums = np.zeros(2)  # weighted by samples and by batches
        self._weights = np.zeros(2)
        self._taken: tuple[np.ndarray, np.ndarray] | None = None  # of the last call of `take`
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Starts a new epoch, in which Keras begins a new running mean."""
        self._observed = np.zeros(2), np.zeros(2)  # sums and weights over the epoch so far
        self._batches = 0  # of this epoch, at the last observation

    def forget(self) -> None:
        """Forgets all that was observed since the last call of `take`, and in this epoch."""
        self.begin_epoch()
        self.take()
        self._taken = None

    def observe(self, mean: Any, batches: int, samples: float = math.nan) -> None:
        """Adds the loss that is reported after some batches of the epoch.

        A mean over no samples is left out. Keras reports 0 for the epoch if a training step of the
        user's own never updates Keras' mean loss.

        Args:
            mean: The reported loss.
            batches: Number of batches of this epoch so far.
            samples: Number of samples of this epoch so far; NaN if it is not known.
        """
        if samples == 0:
            return
        if self.running is False:
            self._sums[:], self._weights[:] = number(mean), 1.0
            return
        (before, seen), weights = self._observed, np.array([samples, batches])
        if batches > self._batches:
            sums = number(mean) * weights
            self._sums += sums - before
            self._weights += weights - seen
            self._observed, self._batches = (sums, weights), batches

    def go_on_from(self, mean: float, samples: float) -> None:
        """Goes on in an epoch after an evaluation.

        Args:
            mean: The running mean of now.
            samples: The number of samples that it is over; NaN if it is not known, so that no mean
                can be computed in the rest of the epoch.
        """
        weights = np.array([samples, math.nan])
        self._observed = mean * weights, weights

    def take(self) -> float:
        """Returns the mean since the last call, and starts anew; NaN if nothing was observed."""
        self._taken = self._sums.copy(), self._weights.copy()
        known = self._weights > 0  # not where it is NaN
        means = self._sums[known] / self._weights[known]
        self._sums[:], self._weights[:] = 0.0, 0.0
        return float(means[0]) if means.size else math.nan

    def take_more(self, last: float) -> float:
        """Returns the mean since the last call of `take` but one, and starts anew.

        Args:
            last: What the last call returned. It is returned again if that call was in another
                process.
        """
        if self._taken is None:
            return last
        if self.running is not False or not self._weights.any():
            self._sums += self._taken[0]
            self._weights += self._taken[1]
        return self.take()


def number(value: Any) -> float:
    """Returns a metric as a number; NaN for `None`."""
    # On torch, `float` warns of a loss that still has its graph, as a step of one's own returns it.
    return math.nan if value is None else float(keras.ops.convert_to_numpy(value))
