"""The mean training loss of a model, from what Keras reports within an epoch and at its end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.callbacks.mean_loss import MeanLoss, number

_ROUNDING = 1e-4  # of a running mean that was computed twice


class ReportedLoss(MeanLoss):
    """Observes the loss that Keras reports, and how many samples it is over.

    The number of samples is read from the model's metrics, which an evaluation sets to zero. So it
    is read before each evaluation, too.
    """

    def begin_epoch(self) -> None:
        """Starts a new epoch, in which Keras begins a new running mean."""
        super().begin_epoch()
        self._logs: Any = None  # of the last execution
        self._place: int | None = None  # of the loss among the running means
        self._validated: list[tuple[float, float]] = []  # running means as validation began

    def executed(self, logs: Any) -> None:
        """Keeps what Keras reported after an execution of the training step."""
        self._logs = logs

    def observe_within(self, model: keras.Model, batches: int) -> None:
        """Observes the loss after some batches of the epoch, from the logs that were kept last."""
        loss = self._logs.get("loss") if isinstance(self._logs, dict) else None
        means = list(mean_counts(model))
        if self.running is None and batches > 1:  # of one batch, both are the same
            self.running = is_running_mean(loss, model)
        self.observe(loss, batches, count_behind(loss, means))
        self._place = place_of(loss, means)

    def after_evaluation(self, model: keras.Model) -> None:
        """Leaves the samples of an evaluation within an epoch out of the mean."""
        means = list(mean_counts(model))
        self.go_on_from(*((math.nan, math.nan) if self._place is None else means[self._place]))

    def before_validation(self, model: keras.Model) -> None:
        """Keeps how many samples the means of the epoch are over."""
        self._validated = list(mean_counts(model))

    def observe_epoch(self, model: keras.Model, loss: Any, batches: int) -> None:
        """Observes the loss that is reported at the end of an epoch of so many batches."""
        self.observe(loss, batches, count_behind(loss, self._validated or mean_counts(model)))


def mean_counts(model: keras.Model) -> Iterator[tuple[float, float]]:
    """Yields each running mean of a model, and the sum of the weights of what it is over.

    The weights of losses are numbers of samples. On several devices nothing is yielded, since there
    Keras averages the means of the devices.
    """
    if _replicas(model) > 1:
        return
    internals.sync_state(model)
    for metric in model.metrics:
        if isinstance(metric, keras.metrics.Mean):
            yield float(metric.result()), float(keras.ops.convert_to_numpy(metric.count))


def place_of(loss: Any, counts: Iterable[tuple[float, float]]) -> int | None:
    """Returns which of the given running means a loss is; `None` if it is none of them."""
    value = number(loss)
    return next((at for at, (mean, _) in enumerate(counts) if _same(mean, value)), None)


def count_behind(loss: Any, counts: Iterable[tuple[float, float]]) -> float:
    """Returns the number of samples behind a running mean; NaN if it is none of those given."""
    known = list(counts)
    place = place_of(loss, known)
    return math.nan if place is None else known[place][1]


def is_running_mean(loss: Any, model: keras.Model) -> bool:
    """Returns whether a reported loss is the result of a metric, which is a mean over the epoch.

    Call it within an epoch: validation resets the metrics. On several devices, whose means are
    averaged, the answer is always yes.
    """
    value = number(loss)
    return (
        _replicas(model) > 1
        or math.isnan(value)
        or any(_same(mean, value) for mean, _ in mean_counts(model))
    )


def _same(mean: float, value: float) -> bool:
    return abs(mean - value) <= _ROUNDING * abs(value)


def _replicas(model: keras.Model) -> int:
    strategy = getattr(model, "distribute_strategy", None)
    return getattr(strategy, "num_replicas_in_sync", 1)
