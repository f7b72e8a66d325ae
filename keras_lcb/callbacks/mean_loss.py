"""The mean loss between two records, computed from Keras' running mean over the epoch."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_lcb.backend import internals

_ROUNDING = 1e-4  # of a running mean that was computed twice


class MeanLoss:
    """Computes the mean training loss since the last call of `take`.

    Keras reports the running mean over an epoch. A running mean times its number of batches is a
    sum, and the difference of two such sums is the sum over the batches between them. A smaller
    last batch of an epoch counts as a whole one. Over whole epochs, the mean equals the one that
    Keras reports.

    A training step of the user's own may report the loss of its batch instead. Then the loss that
    was observed last stands for all batches since the last call of `take`.

    Attributes:
        running: Whether running means are reported, see `is_running_mean`; `None` if that is not
            known yet.
    """

    def __init__(self) -> None:
        self.running: bool | None = None
        self._sum = 0.0
        self._weight = 0
        self._observed = 0.0, 0  # sum over the epoch so far, and its batches

    def begin_epoch(self) -> None:
        """Starts a new epoch, in which Keras begins a new running mean."""
        self._observed = 0.0, 0

    def forget(self) -> None:
        """Forgets all that was observed since the last call of `take`, and in this epoch."""
        self.begin_epoch()
        self.take()

    def observe(self, mean: Any, batches: int) -> None:
        """Adds what is reported after the first `batches` batches of the epoch."""
        if self.running is False:
            self._sum, self._weight = number(mean), 1
            return
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


def is_running_mean(loss: Any, model: keras.Model) -> bool:
    """Returns whether a reported loss is the result of a metric, which is a mean over the epoch.

    Call it within an epoch: validation resets the metrics. On several devices, whose means are
    averaged, the answer is always yes.
    """
    strategy = getattr(model, "distribute_strategy", None)
    if getattr(strategy, "num_replicas_in_sync", 1) > 1:
        return True
    internals.sync_state(model)
    means = [float(m.result()) for m in model.metrics if isinstance(m, keras.metrics.Mean)]
    value = number(loss)
    return math.isnan(value) or any(abs(m - value) <= _ROUNDING * abs(value) for m in means)


def number(value: Any) -> float:
    """Returns a metric as a number; NaN for `None`."""
    return math.nan if value is None else float(value)
