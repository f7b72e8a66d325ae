"""Rank correlations over layers: of one run, or of several runs with a t interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT, Estimate, Interval

_LAYERS = 3  # with fewer, every order is a perfect one


@dataclass(frozen=True)
class RankCorrelation:
    """The rank correlation of two quantities over layers.

    Attributes:
        spearman_of_runs: Spearman's ρ of each run; NaN where it is not defined.
        chance: For one run, the p-value of Kendall's test: the probability that two independent
            quantities have orders that agree or disagree at least as much. It is exact without
            ties and with one group. `None` for several runs.
        layers_of_runs: How many layers each run's ρ is over, for tests of their order: those where
            both quantities are known, less one for each group after the first.
    """

    spearman_of_runs: tuple[float, ...]
    chance: float | None = None
    layers_of_runs: tuple[int, ...] = ()

    @property
    def spearman(self) -> float:
        """The mean over runs; NaN if no run has a correlation."""
        return self._mean.mean

    @property
    def spearman_interval(self) -> Interval | None:
        """The 95 % t interval of the mean over runs, within −1 to 1; `None` for one run."""
        interval = self._mean.interval()
        return None if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0))

    @property
    def sign(self) -> int | None:
        """1 or −1 if the interval lies above or below 0, otherwise 0; `None` below 5 runs."""
        if self.spearman_interval is None or self._mean.count < RUNS_FOR_A_VERDICT:
            return None
        low, high = self.spearman_interval
        return int(low > 0) - int(high < 0)

    @property
    def _mean(self) -> Estimate:
        return Estimate(self.spearman_of_runs)

    def __str__(self) -> str:
        """Returns Spearman's ρ as text, with its interval if there is one."""
        if self.spearman_interval is None:
            return f"{self.spearman:+.2f}"
        low, high = self.spearman_interval
        return f"{self.spearman:+.2f} [{low:+.2f}, {high:+.2f}]"


def rank_correlation(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], groups: Sequence[int] | None = None
) -> RankCorrelation:
    """Computes the rank correlation of two quantities over layers, for each run.

    Args:
        pairs: For each run, two arrays with one value a layer. A layer is left out if one of its
            values is NaN. Infinity ranks above everything.
        groups: The group of each layer. Ranks are those within a group, as a share of its size.
            Defaults to `None`: all layers are in one group.

    Returns:
        The correlations. They are NaN with fewer than 3 layers, or if all values are equal.

    Example:
        >>> import numpy as np
        >>> depth, time = np.arange(4), np.array([5.0, 7.0, 6.0, np.inf])
        >>> correlation = rank_correlation([(depth, time)])
        >>> round(correlation.spearman, 2), round(correlation.chance, 2)
        (0.8, 0.33)
    """
    if not pairs:
        return RankCorrelation(())
    one, other = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    group_of = np.zeros(one.shape[1], int) if groups is None else np.array(groups)
    chance = _chance(one[0], other[0], group_of) if len(pairs) == 1 else None
    rho = _spearman(one, other, group_of)
    return RankCorrelation(tuple(rho.tolist()), chance, _counts(one, other, group_of))


def p_random_order(order: RankCorrelation, layers: int | Sequence[int]) -> float:
    """Returns the probability of a mean correlation this large if the layers had a random order.

    The correlation with a random order has mean 0 and variance 1 / (layers − 1), whatever the
    values and ties (Pitman, 1937). If each run draws its order anew, the mean over n runs is nearly
    normal with 1/n of this variance, or of its mean if runs have different numbers of layers. This
    test complements Student's t test, which compares the mean with the scatter over runs. Few
    layers have few possible orders, and if all runs have the same order by chance, there is no
    scatter at all.

    Args:
        order: The rank correlations of the runs.
        layers: The number of layers: one for all runs, or one for each.

    Returns:
        The two-sided p-value.

    Example:
        >>> round(p_random_order(RankCorrelation((1.0, 1.0, 0.5, 1.0)), 3), 3)
        0.013
    """
    rho = np.array(order.spearman_of_runs, dtype=float)
    over = np.broadcast_to(layers, rho.shape)[~np.isnan(rho)]
    if not over.size:
        return math.nan
    if over.min() < 2:  # which are in no order
        return 1.0
    z = abs(order.spearman) * len(over) / math.sqrt((1 / (over - 1)).sum())
    return math.erfc(z / math.sqrt(2))


def _spearman(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns Spearman's ρ of each row: Pearson's r of the ranks; ties have their mean rank."""
    known = ~(np.isnan(one) | np.isnan(other))
    found = np.full(len(one), math.nan)
    for pattern in np.unique(known, axis=0):
        rows = (known == pattern).all(axis=1)
        first, second = (
            _ranks(values[np.ix_(rows, pattern)], groups[pattern]) for values in (one, other)
        )
        scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
        defined = (scale > 0) & (pattern.sum() >= _LAYERS)
        products = (first * second).sum(axis=1)
        found[rows] = np.divide(
            products, scale, out=np.full(len(products), math.nan), where=defined
        )
    # Rounded, so that values which are exactly 0 or 1 do not differ from it by a rounding error.
    return found.round(12)


def _ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns ranks within groups, centred, as shares of the sizes of the groups."""
    from scipy.stats import rankdata  # heavy, and not needed by all who import this package

    ranks = np.zeros(values.shape)
    for group in set(groups.tolist()):
        own = groups == group
        ranks[:, own] = rankdata(values[:, own], axis=1) / (own.sum() + 1) - 0.5
    return ranks


def _counts(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> tuple[int, ...]:
    known = ~(np.isnan(one) | np.isnan(other))
    return tuple(int(own.sum()) - max(len(set(groups[own].tolist())) - 1, 0) for own in known)


def _chance(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> float:
    from scipy.stats import kendalltau

    known = ~(np.isnan(one) | np.isnan(other))
    # Ranks, because SciPy's τ does not treat infinity as the largest value.
    first, second = (_ranks(values[None, known], groups[known])[0] for values in (one, other))
    if len(first) < _LAYERS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(kendalltau(first, second).pvalue)
