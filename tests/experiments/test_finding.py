"""Effects, intervals and verdicts follow from the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from keras_lcb.analysis import Estimate, rank_correlation
from keras_lcb.analysis.verdict import judged
from keras_lcb.experiments.finding import (
    bias_finding,
    corrected,
    finding,
    order_finding,
    over_settings,
)
from keras_lcb.experiments.scale import CORRELATION, RATIO

SEEDS = range(6)


def ratios(mean, spread, seeds=6):
    return np.log(mean) + spread * np.linspace(-1, 1, seeds)


@pytest.mark.parametrize(
    ("values", "sign", "equivalent"),
    [
        (ratios(2.0, 0.1), 1, False),
        (ratios(0.5, 0.1), -1, False),
        (ratios(1.02, 0.01), 0, True),
        (ratios(1.5, 1.0), 0, False),
        (ratios(2.0, 0.1, seeds=4), 0, False),  # too few
    ],
)
def test_the_four_outcomes(values, sign, equivalent):
    found = finding(values, range(len(values)), RATIO)
    assert (found.sign, found.equivalent) == (sign, equivalent)
    assert bool(found.lacking) == (len(values) < 5)


def test_tests_are_those_of_scipy():
    values = ratios(1.3, 0.4)
    found = finding(values, SEEDS, RATIO)
    assert found.p_order == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue)
    bounds = np.log([0.9, 1.11])
    low = scipy.stats.ttest_1samp(values, bounds[0], alternative="greater").pvalue
    high = scipy.stats.ttest_1samp(values, bounds[1], alternative="less").pvalue
    assert found.p_equivalent == pytest.approx(max(low, high))
    low, high = scipy.stats.t.interval(0.95, 5, values.mean(), scipy.stats.sem(values))
    assert RATIO.ends(found.effect) == pytest.approx(np.exp([values.mean(), low, high]))


def test_the_interval_of_ratios_may_have_no_end():
    wide = finding([-70.0, 70.0], range(2), RATIO).effect
    assert RATIO.ends(wide) == (1.0, 0.0, math.inf)
    assert RATIO.told(wide) == "1.00 [0.00, inf]"


def test_an_order_has_to_be_unlikely_among_random_ones():
    """With three layers, six runs in the same order by chance leave no scatter."""
    values = np.tile([1.0, 2.0, 3.0], (6, 1))
    found = order_finding(np.arange(3), values, SEEDS)
    assert found.effect.values == (1.0,) * 6
    assert found.p_order == pytest.approx(math.erfc(math.sqrt(6 * 2 / 2)))
    assert order_finding(np.arange(3), values[:, ::-1], SEEDS).sign == -1


def test_layers_that_are_not_known_make_an_order_likelier():
    """Runs with five known layers of eight are as likely to be in order as runs of five layers."""
    values = np.arange(8.0) + np.zeros((6, 1))
    values[:3, [1, 4, 6]] = np.nan
    found = order_finding(np.arange(8), values, SEEDS)
    deviation = math.sqrt(3 / 4 + 3 / 7) / 6
    assert found.p_order == pytest.approx(math.erfc(1 / deviation / math.sqrt(2)))
    values[:, :6] = np.nan
    assert order_finding(np.arange(8), values, SEEDS).lacking == "0 seeds; a verdict takes 5"


def test_two_layers_are_no_order():
    values = np.random.default_rng(0).normal(0, 0.1, (6, 2)) + [1.0, 2.0]
    ranks = rank_correlation([((0, 1), own) for own in values])
    ratios = np.log(values[:, 1] / values[:, 0])
    found = finding(ratios, SEEDS, RATIO, ranks=ranks)
    assert found.lacking == "2 layers; an order takes 3" and found.sign == 0


def test_holm_counts_the_settings_that_could_be_tested():
    clear, few = finding(ratios(1.5, 0.38), SEEDS, RATIO), finding([0.1], [0], RATIO)
    assert 0.01 < clear.p_order < 0.025
    found = corrected({"a": clear, "few": few})
    assert found["a"].p_order == pytest.approx(clear.p_order) and found["few"] == few
    found = corrected({"a": clear, "b": clear, "c": clear, "few": few})
    assert found["a"].p_order == pytest.approx(3 * clear.p_order) and found["a"].sign == 0


def test_a_mean_over_settings_counts_each_once():
    found = {str(n): finding([n, n + 0.2] * n, range(2 * n), RATIO) for n in range(1, 6)}
    pooled = over_settings(found, RATIO)
    assert pooled.effect.values == pytest.approx([n + 0.1 for n in range(1, 6)])
    assert pooled.sign == 1 and not pooled.lacking
    del found["1"]
    assert "4 settings" in over_settings(found, RATIO).lacking


def test_a_finding_has_the_verdict_of_convergence_bias():
    generator = np.random.default_rng(0)
    words = {"shallower faster": 1, "deeper faster": -1}
    seen = set()
    for growth in (0.5, 0.8, 0.95, 1.0, 1.05, 1.3, 2.0):
        for spread in (0.01, 0.3):
            noise = generator.lognormal(0, spread, (6, 4))
            times = 10 * growth ** np.arange(4) * noise
            for areas in (times, -times):
                bias = judged(times, areas, list("abcd"))
                found = bias_finding(bias, SEEDS)
                assert found.sign == words.get(bias.verdict, 0)
                assert found.equivalent == (bias.verdict == "equivalent")
                seen.add(bias.verdict)
    assert len(seen) == 4


def test_measures_beside_are_compared_in_sign():
    beside = {
        "same": Estimate((0.1, 0.11, 0.12)),
        "other": Estimate((-0.1, -0.11, -0.12)),
        "unclear": Estimate((-1.0, 1.0, 0.1)),
        "none": Estimate(()),
    }
    found = finding(ratios(2.0, 0.1), SEEDS, RATIO, beside=beside)
    assert found.agreement == {"same": "+", "other": "−", "unclear": "?", "none": "?"}
    reverse = finding(ratios(0.5, 0.1), SEEDS, RATIO, beside=beside)
    assert reverse.agreement["same"] == "−"


def test_figures_keep_within_what_can_be():
    ranks = rank_correlation([(np.arange(4), np.arange(4))] * 2 + [(np.arange(4), [0, 1, 3, 2])])
    assert CORRELATION.told(Estimate(ranks.spearman_of_runs)) == "+0.93 [+0.65, +1.00]"
    assert RATIO.told(Estimate((math.log(2),))) == "2.00"
    assert RATIO.told(Estimate(())) == "not defined"
