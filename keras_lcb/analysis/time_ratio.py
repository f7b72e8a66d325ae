"""How many times as long the last layer takes as the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keras_lcb.analysis.estimate import Estimate, Interval


@dataclass(frozen=True)
class TimeRatio:
    """The ratio of the last layer's time to the first layer's, along a trend over all of them.

    Attributes:
        logs: The natural logarithm of each run's ratio; NaN where a layer has no time, since it
            never came so far. The mean is over logarithms, so that 2 and ½ are equally far from 1.
    """

    logs: Estimate

    @property
    def of_runs(self) -> tuple[float, ...]:
        """Each run's ratio."""
        return tuple(math.exp(log) for log in self.logs.values)

    @property
    def defined(self) -> bool:
        """Whether every run has a ratio: leaving out those with a slow layer would mislead."""
        return 0 < self.logs.count == len(self.logs.values)

    @property
    def value(self) -> float:
        """The geometric mean over runs; NaN unless every run has a ratio."""
        return math.exp(self.logs.mean) if self.defined else math.nan

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Return the t interval over runs; `None` for one run, or if the ratio is not defined."""
        interval = self.logs.interval(confidence) if self.defined else None
        return None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))

    def p_differs(self) -> float:
        """Return the p-value of the two-sided t test that the ratio is 1."""
        return self.logs.p_differs() if self.defined else math.nan

    def p_within(self, low: float, high: float) -> float:
        """Return the p-value of the equivalence test that the ratio lies outside of two bounds."""
        return self.logs.p_within(math.log(low), math.log(high)) if self.defined else math.nan

    def __str__(self) -> str:
        """The ratio, with its 95 % interval where there is one."""
        if not self.defined:
            return "not defined"
        interval = self.interval()
        return f"{self.value:.2f}" + ("" if interval is None else _brackets(interval))


def _brackets(interval: Interval) -> str:
    return f" [{interval[0]:.2f}, {interval[1]:.2f}]"


def time_ratio(times: np.ndarray) -> TimeRatio:
    """Return the ratio of times, last to first layer, as a trend over depth gives it.

    In each run the slope of log(time) over the place of the layer is fitted by least squares, and
    read from the first to the last layer: exp(slope · (layers − 1)). All layers have their say, so
    that it is steadier than the last layer's time divided by the first's, which it equals for
    times that grow by the same factor from layer to layer.

    Args:
        times: Times (runs, layers), shallow layers first, all positive; infinite or NaN for a
            layer that never came so far, which leaves the run without a ratio.

    Returns:
        The ratio; not defined for fewer than two layers.

    Example:
        >>> ratio = time_ratio(np.array([[10.0, 20.0, 40.0], [10.0, 10.0, 10.0]]))
        >>> [round(value, 2) for value in ratio.of_runs], round(ratio.value, 2)
        ([4.0, 1.0], 2.0)
    """
    runs, layers = times.shape
    place = np.arange(layers) - (layers - 1) / 2
    logs = np.full(runs, math.nan)
    if layers > 1:
        known = np.isfinite(times).all(axis=1)
        logs[known] = np.log(times[known]) @ place * (layers - 1) / (place @ place)
    # What is 0 must not miss it by a rounding error.
    return TimeRatio(Estimate(tuple(logs.round(12).tolist())))
