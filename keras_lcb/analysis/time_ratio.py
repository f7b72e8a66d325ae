"""How many times as long the last layer takes as the first layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keras_lcb.analysis.comparison import Comparison, within_groups
from keras_lcb.analysis.estimate import Estimate, Interval


@dataclass(frozen=True)
class TimeRatio:
    """The ratio of the last layer's time to the first layer's, from a trend over all layers.

    Attributes:
        logs: The natural logarithm of each run's ratio; NaN if a layer of the run has no time. The
            mean is taken over logarithms, so that 2 and ½ are equally far from 1.
    """

    logs: Estimate

    @property
    def of_runs(self) -> tuple[float, ...]:
        """Each run's ratio."""
        return tuple(math.exp(log) for log in self.logs.values)

    @property
    def defined(self) -> bool:
        """Whether every run has a ratio. Leaving out runs with slow layers would mislead."""
        return 0 < self.logs.count == len(self.logs.values)

    @property
    def value(self) -> float:
        """The geometric mean over runs; NaN unless every run has a ratio."""
        return math.exp(self.logs.mean) if self.defined else math.nan

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Returns the t interval over runs; `None` for one run, or if the ratio is not defined."""
        interval = self.logs.interval(confidence) if self.defined else None
        return None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))

    def p_differs(self) -> float:
        """Returns the p-value of the two-sided t test that the ratio is 1."""
        return self.logs.p_differs() if self.defined else math.nan

    def p_within(self, low: float, high: float) -> float:
        """Returns the p-value of the test that the ratio lies outside of `low` to `high`."""
        return self.logs.p_within(math.log(low), math.log(high)) if self.defined else math.nan

    def __str__(self) -> str:
        """Returns the ratio as text, with its 95 % interval if there is one."""
        if not self.defined:
            return "not defined"
        interval = self.interval()
        return f"{self.value:.2f}" + ("" if interval is None else _brackets(interval))


def _brackets(interval: Interval) -> str:
    return f" [{interval[0]:.2f}, {interval[1]:.2f}]"


def time_ratio(times: np.ndarray, comparison: Comparison | None = None) -> TimeRatio:
    """Computes the ratio of times of the last and the first layer, from a trend over depth.

    In each run, a straight line is fitted by least squares to log(time) over the place of the
    layer. The ratio is exp(slope · (last place − first place)). It uses the times of all layers, so
    it is less noisy than the last layer's time divided by the first's. Both are equal if times grow
    by the same factor from layer to layer. With several groups, such as layers of several shapes,
    there is a line for each, and all have the same slope.

    Args:
        times: Positive times, (runs, layers), shallow layers first. A time that is infinite or NaN
            leaves its run without a ratio.
        comparison: The places and groups of the layers. Defaults to `None`: each layer lies one
            place deeper than the one before, and all are in one group.

    Returns:
        The ratio. It is not defined if no group has layers in two places.

    Example:
        >>> import numpy as np
        >>> ratio = time_ratio(np.array([[10.0, 20.0, 40.0], [10.0, 10.0, 10.0]]))
        >>> [round(value, 2) for value in ratio.of_runs], round(ratio.value, 2)
        ([4.0, 1.0], 2.0)
    """
    runs, layers = times.shape
    comparison = comparison or Comparison.of_all([""] * layers)
    logs = np.full(runs, math.nan)
    place = within_groups(np.array(comparison.places), comparison.groups)
    if place.any():
        known = np.isfinite(times).all(axis=1)
        span = comparison.places[-1] - comparison.places[0]
        logs[known] = np.log(times[known]) @ place * span / (place @ place)
    # Rounded, so that a logarithm of exactly 0 does not differ from it by a rounding error.
    return TimeRatio(Estimate(tuple(logs.round(12).tolist())))
