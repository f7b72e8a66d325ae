"""The mean over independent runs or settings, with its t interval and tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

Interval = tuple[float, float]

RUNS_FOR_A_VERDICT = 5


@dataclass(frozen=True)
class Estimate:
    """The mean of a quantity over independent runs, with Student's t interval and tests.

    The values must be independent: one for each seed of a setting; or, for an estimate over
    settings, the mean of each setting, so that each setting has the same weight. Student's t
    assumes a sample from a normal distribution. Unlike the interval of the percentile bootstrap,
    its interval is not too narrow for only five values.

    Args:
        values: One number for each run. Values that are not finite do not count.

    Example:
        >>> found = Estimate((1.0, 2.0, 3.0, 6.0))
        >>> found.mean, [round(end, 2) for end in found.interval()]
        (3.0, [-0.44, 6.44])
        >>> round(found.p_differs(), 3), round(found.p_within(-1.0, 7.0), 3)
        (0.069, 0.017)
    """

    values: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many of the values are finite."""
        return len(self._finite())

    @property
    def mean(self) -> float:
        """The mean of the finite values; NaN without any."""
        finite = self._finite()
        return math.fsum(finite) / len(finite) if finite else math.nan

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Returns the two-sided t interval of the mean; `None` for fewer than two values.

        mean ± t · s / √n, with t the quantile of Student's distribution with n − 1 degrees of
        freedom and s the standard deviation of the n values.
        """
        if self.count < 2:
            return None
        half = float(stdtrit(self.count - 1, 0.5 + confidence / 2)) * self._standard_error()
        return self.mean - half, self.mean + half

    def p_differs(self, other: float = 0.0) -> float:
        """Returns the p-value of the t test that the mean is `other`; NaN if undefined."""
        return 2 * self._tail(-abs(self._t(other)))

    def p_within(self, low: float, high: float) -> float:
        """Returns the p-value of the test that the mean lies outside of `low` to `high`.

        Two one-sided t tests (TOST): the larger of the p-values of "the mean is not above `low`"
        and "the mean is not below `high`". It is at most 5 % if and only if the 90 % interval lies
        between `low` and `high`.

        Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power
        approach for assessing the equivalence of average bioavailability".
        """
        return max(self._tail(-self._t(low)), self._tail(self._t(high)))

    def _finite(self) -> list[float]:
        return [value for value in self.values if math.isfinite(value)]

    def _standard_error(self) -> float:
        return float(np.std(self._finite(), ddof=1)) / math.sqrt(self.count)

    def _t(self, other: float) -> float:
        """Returns by how many standard errors the mean is above `other`."""
        if self.count < 2:
            return math.nan
        difference, error = self.mean - other, self._standard_error()
        if error == 0:
            return math.copysign(math.inf, difference) if difference else 0.0
        return difference / error

    def _tail(self, t: float) -> float:
        """Returns the probability of a value below t under Student's distribution."""
        return float(stdtr(self.count - 1, t))
