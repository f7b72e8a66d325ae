"""Rank correlations over layers: of one run, or over seeds with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

Interval = tuple[float, float]


@dataclass(frozen=True)
class RankCorrelation:
    """How two quantities go together over layers.

    Attributes:
        spearman: Spearman's ρ, the mean over runs; NaN where it is not defined.
        kendall: Kendall's τ-b, the mean over runs.
        spearman_interval: 95 % bootstrap interval of the mean ρ over runs; `None` for one run.
        kendall_interval: The same for τ.
        spearman_of_runs: Each run's ρ.
        chance: For one run, the probability that two quantities that have nothing to do with
            each other are ordered at least as alike over so many layers (Kendall's test, exact
            without ties); `None` for several runs.
    """

    spearman: float
    kendall: float
    spearman_interval: Interval | None
    kendall_interval: Interval | None
    spearman_of_runs: tuple[float, ...]
    chance: float | None

    def __str__(self) -> str:
        """Spearman's ρ, with its interval where there is one."""
        if self.spearman_interval is None:
            return f"{self.spearman:+.2f}"
        low, high = self.spearman_interval
        return f"{self.spearman:+.2f} [{low:+.2f}, {high:+.2f}]"


def rank_correlation(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], *, resamples: int = 2000, seed: int = 0
) -> RankCorrelation:
    """Correlate the ranks of two quantities over layers, run by run.

    Args:
        pairs: For each run, both quantities, one value a layer. Layers where one of them is NaN
            are left out; infinity ranks above everything.
        resamples: How often the runs are drawn anew for the interval: with replacement, the
            interval being the middle 95 % of the means (Efron's percentile bootstrap).
        seed: Seed of the drawing.

    Returns:
        The correlations; NaN with fewer than 3 layers, or where all values are equal.

    Example:
        >>> depth, time = np.arange(4), np.array([5.0, 7.0, 6.0, np.inf])
        >>> correlation = rank_correlation([(depth, time)])
        >>> round(correlation.spearman, 2), round(correlation.chance, 2)
        (0.8, 0.33)
    """
    tests = [_correlations(*pair) for pair in pairs]
    rho, tau = np.array([test[:2] for test in tests]).T
    defined = np.isfinite(rho)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, max(defined.sum(), 1), (resamples, defined.sum()))

    def mean(values: np.ndarray) -> float:
        return float(values[defined].mean()) if defined.any() else float("nan")

    def interval(values: np.ndarray) -> Interval | None:
        if defined.sum() < 2:
            return None
        low, high = np.percentile(values[defined][drawn].mean(axis=1), [2.5, 97.5])
        return float(low), float(high)

    return RankCorrelation(
        spearman=mean(rho),
        kendall=mean(tau),
        spearman_interval=interval(rho),
        kendall_interval=interval(tau),
        spearman_of_runs=tuple(float(value) for value in rho),
        chance=tests[0][2] if len(tests) == 1 else None,
    )


def _correlations(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    known = ~(np.isnan(one) | np.isnan(other))
    # Ranks, because SciPy's τ and ρ differ in what they make of infinities.
    first, second = scipy.stats.rankdata(one[known]), scipy.stats.rankdata(other[known])
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan"), float("nan"), float("nan")
    rho = scipy.stats.pearsonr(first, second).statistic
    tau = scipy.stats.kendalltau(first, second)
    # Both are fractions; what is 0 or 1 must not miss it by a rounding error.
    return round(float(rho), 12), round(float(tau.statistic), 12), float(tau.pvalue)
