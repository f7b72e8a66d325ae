"""Rank correlations against SciPy's own, against counting, and intervals against its t test."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb.analysis.rank import RankCorrelation, p_random_order, rank_correlation

VALUES = hnp.arrays(float, st.integers(3, 12), elements=st.floats(-10, 10).map(lambda v: round(v)))


@given(VALUES)
def test_one_run_against_scipy(values):
    depth = np.arange(len(values))
    result = rank_correlation([(depth, values)])
    if np.ptp(values) == 0:
        assert np.isnan(result.spearman) and np.isnan(result.chance)
        return
    expected = scipy.stats.kendalltau(depth, values).pvalue
    rho = scipy.stats.spearmanr(depth, values).statistic
    np.testing.assert_allclose([result.spearman, result.chance], [rho, expected], atol=1e-11)
    assert result.spearman_interval is None
    other = rank_correlation([(depth, -values)])
    np.testing.assert_allclose(other.spearman, -rho)


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


def test_infinity_is_the_largest_and_nan_is_left_out_run_by_run():
    depth = np.arange(5)
    runs = [
        np.array([1.0, np.nan, 2.0, np.inf, np.inf]),
        np.array([3.0, 1.0, 2.0, 5.0, 4.0]),
        np.array([2.0, np.nan, 1.0, 5.0, 4.0]),
    ]
    expected = [
        scipy.stats.spearmanr([0, 2, 3, 4], [1, 2, 9, 9]).statistic,
        scipy.stats.spearmanr(depth, runs[1]).statistic,
        scipy.stats.spearmanr([0, 2, 3, 4], [2, 1, 5, 4]).statistic,
    ]
    found = rank_correlation([(depth, run) for run in runs])
    np.testing.assert_allclose(found.spearman_of_runs, expected)


def test_several_runs_against_scipys_t_interval():
    rng = np.random.default_rng(3)
    depth = np.arange(6)
    runs = [depth + rng.normal(0, 3, 6) for _ in range(12)]
    result = rank_correlation([(depth, run) for run in runs])
    rho = np.array([scipy.stats.spearmanr(depth, run).statistic for run in runs])
    np.testing.assert_allclose(result.spearman_of_runs, rho)
    np.testing.assert_allclose(result.spearman, rho.mean())
    expected = scipy.stats.ttest_1samp(rho, 0).confidence_interval()
    np.testing.assert_allclose(result.spearman_interval, expected)
    assert result.chance is None


def test_the_interval_stays_within_what_a_correlation_may_be():
    assert RankCorrelation((1.0, 0.5)).spearman_interval == (-1.0, 1.0)
    assert str(RankCorrelation((1.0, 1.0, 0.9))) == "+0.97 [+0.82, +1.00]"


def test_runs_without_a_correlation_do_not_count():
    depth = np.arange(3)
    result = rank_correlation([(depth, depth * 1.0), (depth, np.ones(3)), (depth, depth * 2.0)])
    assert result.spearman == 1.0 and result.spearman_interval == (1.0, 1.0)
    assert np.isnan(result.spearman_of_runs[1])
    nothing = rank_correlation([(depth, np.ones(3))] * 2)
    assert np.isnan(nothing.spearman) and nothing.spearman_interval is None
    assert np.isnan(rank_correlation([]).spearman)
    assert np.isnan(rank_correlation([(depth[:2], depth[:2] * 1.0)]).spearman)


@pytest.mark.parametrize("values", [(1.0, 2.0, 3.0, 4.0), (1.0, 1.0, 5.0, 9.0, 9.0)])
def test_random_orders_are_as_likely_as_counting_says(values):
    """Their variance is exact; over some runs, a normal distribution gives the tails."""
    layers, runs = len(values), 8
    depth = np.arange(layers)
    orders = [np.array(order) for order in itertools.permutations(values)]
    rho = np.array(rank_correlation([(depth, order) for order in orders]).spearman_of_runs)
    np.testing.assert_allclose(rho.var(), 1 / (layers - 1))
    means = np.random.default_rng(0).choice(rho, (20_000, runs)).mean(axis=1)
    for mean in (0.2, 0.3, 0.4):
        found = p_random_order(RankCorrelation((mean,) * runs), layers)
        assert found == pytest.approx((abs(means) >= mean).mean(), abs=0.05)


def test_more_layers_and_more_runs_make_an_order_less_likely_to_be_random():
    def found(rho, runs, layers):
        return p_random_order(RankCorrelation((rho,) * runs), layers)

    assert found(0.5, 5, 4) > found(0.5, 5, 8) > found(0.5, 9, 8) > found(-0.7, 9, 8)
    assert found(0.0, 5, 4) == 1.0
    np.testing.assert_allclose(found(0.5, 4, 5), 2 * scipy.stats.norm.sf(0.5 * 4))
    assert np.isnan(p_random_order(RankCorrelation(()), 0))
