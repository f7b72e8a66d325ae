"""On which scale an effect is told: as a ratio, a rank correlation, or a difference."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from keras_lcb.analysis import Estimate


@dataclass(frozen=True)
class Scale:
    """How effects are told, and how small one has to be to count as none.

    Effects of ratios are kept as natural logarithms, so that 0 is no effect on every scale.

    Attributes:
        name: In words.
        low: The effect, as it is told, from which it counts as none.
        high: Up to which it does.
        logarithmic: Whether effects are kept as logarithms of what is told.
        digits: After the point.
        limit: Beyond which no effect can be, on either side, as it is told.
    """

    name: str
    low: float
    high: float
    logarithmic: bool = False
    digits: int = 2
    limit: float = math.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which an effect, as it is kept, counts as none."""
        if self.logarithmic:
            return math.log(self.low), math.log(self.high)
        return self.low, self.high

    def shown(self, effect: float) -> float:
        """Returns an effect as it is told."""
        told = _exp(effect) if self.logarithmic else effect
        return min(max(told, -self.limit), self.limit) if abs(told) > self.limit else told

    def kept(self, told: float) -> float:
        """Returns an effect as it is kept, from how it is told; the inverse of `shown`."""
        if not self.logarithmic:
            return told
        return -math.inf if told == 0 else math.log(told)

    def told(self, estimate: Estimate) -> str:
        """Returns an estimate in figures, with its 95 % interval where there is one."""
        if math.isnan(estimate.mean):
            return "not defined"
        interval = estimate.interval()
        value = self._figure(estimate.mean)
        return value if interval is None else f"{value} [{', '.join(map(self._figure, interval))}]"

    def ends(self, estimate: Estimate) -> tuple[float, float, float]:
        """Returns an estimate's mean and the ends of its interval, as told; NaN for none."""
        low, high = estimate.interval() or (math.nan, math.nan)
        return self.shown(estimate.mean), self.shown(low), self.shown(high)

    def _figure(self, effect: float) -> str:
        sign = "" if self.logarithmic else "+"
        return f"{self.shown(effect):{sign}.{self.digits}f}"


def _exp(log: float) -> float:
    """Infinite where Python would raise an `OverflowError`, as at the end of a wide interval."""
    return math.inf if log > math.log(sys.float_info.max) else math.exp(log)


RATIO = Scale("ratio", 0.9, 1.11, logarithmic=True)
CORRELATION = Scale("rank correlation", -0.3, 0.3, limit=1.0)
