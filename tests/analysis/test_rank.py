"""Rank correlations against SciPy's own, against counting, and intervals against its bootstrap."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb.analysis.rank import rank_correlation

VALUES = hnp.arrays(float, st.integers(3, 12), elements=st.floats(-10, 10).map(lambda v: round(v)))


@given(VALUES)
def test_one_run_against_scipy(values):
    depth = np.arange(len(values))
    result = rank_correlation([(depth, values)])
    if np.ptp(values) == 0:
        assert np.isnan(result.spearman) and np.isnan(result.kendall)
        return
    expected = scipy.stats.kendalltau(depth, values)
    rho = scipy.stats.spearmanr(depth, values).statistic
    np.testing.assert_allclose(
        [result.spearman, result.kendall, result.chance],
        [rho, expected.statistic, expected.pvalue],
        atol=1e-11,
    )
    assert result.spearman_interval is None and result.kendall_interval is None


@given(VALUES)
def test_the_other_way_round(values):
    depth = np.arange(len(values))
    one, other = rank_correlation([(depth, values)]), rank_correlation([(depth, -values)])
    np.testing.assert_allclose(one.spearman, -other.spearman)
    np.testing.assert_allclose(one.kendall, -other.kendall)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 3, 2), (4, 3, 2, 0, 1), (2, 0, 1, 3, 5, 4)])
def test_chance_is_what_counting_all_orders_gives(order):
    depth = np.arange(len(order))

    def agreement(values):
        pairs = itertools.combinations(range(len(order)), 2)
        return sum(np.sign(values[j] - values[i]) for i, j in pairs)

    orders = list(itertools.permutations(range(len(order))))
    as_strong = sum(abs(agreement(o)) >= abs(agreement(order)) for o in orders)
    result = rank_correlation([(depth, np.array(order, float))])
    np.testing.assert_allclose(result.chance, as_strong / len(orders))


def test_infinity_is_the_largest_and_nan_is_left_out():
    depth = np.arange(5)
    values = np.array([1.0, np.nan, 2.0, np.inf, np.inf])
    expected = scipy.stats.spearmanr([0, 2, 3, 4], [1, 2, 9, 9]).statistic
    np.testing.assert_allclose(rank_correlation([(depth, values)]).spearman, expected)


def test_several_runs_against_scipys_bootstrap():
    rng = np.random.default_rng(3)
    depth = np.arange(6)
    runs = [depth + rng.normal(0, 3, 6) for _ in range(12)]
    result = rank_correlation([(depth, run) for run in runs], resamples=20_000)
    rho = np.array([scipy.stats.spearmanr(depth, run).statistic for run in runs])
    np.testing.assert_allclose(result.spearman_of_runs, rho)
    np.testing.assert_allclose(result.spearman, rho.mean())
    expected = scipy.stats.bootstrap(
        (rho,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    np.testing.assert_allclose(result.spearman_interval, expected, atol=0.02)
    assert result.chance is None


def test_the_interval_is_repeatable_and_covers():
    """95 % intervals of a mean over 20 runs cover the true mean most of the time."""
    rng = np.random.default_rng(0)
    depth = np.arange(5)

    def runs(count):
        return [(depth, depth + rng.normal(0, 2, 5)) for _ in range(count)]

    truth = rank_correlation(runs(2000), resamples=1).spearman
    covered = 0
    for _ in range(100):
        low, high = rank_correlation(runs(20), resamples=500).spearman_interval
        covered += low <= truth <= high
    assert 0.87 <= covered / 100 <= 0.99
    pairs = runs(4)
    assert rank_correlation(pairs, seed=1) == rank_correlation(pairs, seed=1)


def test_runs_without_a_correlation_do_not_count():
    depth = np.arange(3)
    result = rank_correlation([(depth, depth * 1.0), (depth, np.ones(3)), (depth, depth * 2.0)])
    assert result.spearman == 1.0 and result.spearman_interval == (1.0, 1.0)
    assert np.isnan(result.spearman_of_runs[1])
    nothing = rank_correlation([(depth, np.ones(3))] * 2)
    assert np.isnan(nothing.spearman) and nothing.spearman_interval is None
    assert str(result) == "+1.00 [+1.00, +1.00]"
