"""The mean loss between two records, computed from Keras' running mean over the epoch."""

from __future__ import annotations

import math
from typing import Any


class MeanLoss:
    """Computes the mean training loss since the last call of `take`.

    Keras reports the running mean over an epoch. A running mean times its number of batches is a
    sum, and the difference of two such sums is the sum over the batches between them. A smaller
    last batch of an epoch counts as a whole one. Over whole epochs, the mean equals the one that
    Keras reports.
    """

    def __init__(self) -> None:
        self.batches = 0  # seen in this epoch
        self._sum = 0.0
        self._weight = 0
        self._observed = 0.0, 0  # sum over the epoch so far, and its batches

    def begin_epoch(self) -> None:
        """Starts a new epoch, in which Keras begins a new running mean."""
        self.batches = 0
        self._observed = 0.0, 0

    def observe(self, mean: Any, batches: int) -> None:
        """Adds a running mean, over the first `batches` batches of the epoch."""
        before, seen = self._observed
        if batches > seen:
            total = number(mean) * batches
            self._sum += total - before
            self._weight += batches - seen
            self._observed = total, batches

    def take(self) -> float:
        """Returns the mean since the last call, and starts anew; NaN if nothing was observed."""
        mean = self._sum / self._weight if self._weight else math.nan
        self._sum, self._weight = 0.0, 0
        return mean


def number(value: Any) -> float:
    """Returns a metric as a number; NaN for `None`."""
    return math.nan if value is None else float(value)
