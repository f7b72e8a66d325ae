"""The mean loss between two records, from the mean over the epoch that Keras reports."""

from __future__ import annotations

import math
from typing import Any


class MeanLoss:
    """Mean training loss since it was last taken.

    Keras reports the running mean over an epoch; the difference of two of them, each times its
    number of batches, is the sum over the batches between. A smaller last batch of an epoch is
    counted as a whole one; over whole epochs the mean is Keras' own.
    """

    def __init__(self) -> None:
        self.batches = 0  # seen in this epoch
        self._sum = 0.0
        self._weight = 0
        self._observed = 0.0, 0  # sum over the epoch so far, and its batches

    def begin_epoch(self) -> None:
        """Keras begins a new mean."""
        self.batches = 0
        self._observed = 0.0, 0

    def observe(self, mean: Any, batches: int) -> None:
        """Takes in the mean over the first `batches` batches of the epoch."""
        before, seen = self._observed
        if batches > seen:
            total = number(mean) * batches
            self._sum += total - before
            self._weight += batches - seen
            self._observed = total, batches

    def take(self) -> float:
        """The mean since it was last taken; NaN if there was nothing to observe."""
        mean = self._sum / self._weight if self._weight else math.nan
        self._sum, self._weight = 0.0, 0
        return mean


def number(value: Any) -> float:
    """A metric as a number; NaN where there is none."""
    return math.nan if value is None else float(value)
