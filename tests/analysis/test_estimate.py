"""Student's t against SciPy's own tests and intervals, and against coverage."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb.analysis.estimate import Estimate

SAMPLES = hnp.arrays(
    float, st.integers(2, 12), elements=st.floats(-9, 9).map(lambda v: round(v, 3))
)


@given(SAMPLES.filter(lambda sample: np.ptp(sample) > 0), st.floats(-5, 5))
def test_against_scipy(sample, other):
    found = Estimate(tuple(sample))
    result = scipy.stats.ttest_1samp(sample, other)
    np.testing.assert_allclose(found.mean, sample.mean(), atol=1e-12)
    np.testing.assert_allclose(found.p_differs(other), result.pvalue, rtol=1e-6)
    for confidence in (0.9, 0.95):
        expected = result.confidence_interval(confidence)
        np.testing.assert_allclose(found.interval(confidence), expected, atol=1e-9)
    above = scipy.stats.ttest_1samp(sample, other - 1, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(sample, other + 1, alternative="less").pvalue
    within = found.p_within(other - 1, other + 1)
    np.testing.assert_allclose(within, max(above, below), rtol=1e-6)


@given(SAMPLES.filter(lambda sample: np.ptp(sample) > 0))
def test_equivalence_at_5_percent_is_a_90_percent_interval_within_the_bounds(sample):
    found = Estimate(tuple(sample))
    low, high = found.interval(0.9)
    assert found.p_within(low - 1e-6, high + 1e-6) <= 0.05
    assert found.p_within(low - 1e-6, high - 1e-6) > 0.05
    assert found.p_within(low + 1e-6, high + 1e-6) > 0.05


def test_by_hand():
    # 1, 2, 3, 6: mean 3, s² = (4 + 1 + 0 + 9) / 3, t(0.975, 3) = 3.1824
    half = 3.1824463 * math.sqrt(14 / 3 / 4)
    np.testing.assert_allclose(Estimate((1, 2, 3, 6)).interval(), (3 - half, 3 + half))


def test_what_is_not_finite_does_not_count():
    found = Estimate((1.0, math.nan, 3.0, math.inf))
    assert found.count == 2 and found == Estimate(found.values) and found.mean == 2.0
    np.testing.assert_allclose(found.interval(), Estimate((1.0, 3.0)).interval())


@pytest.mark.parametrize("values", [(), (1.0,), (math.nan, 2.0)])
def test_one_value_has_no_interval(values):
    found = Estimate(values)
    assert found.interval() is None
    assert math.isnan(found.p_differs()) and math.isnan(found.p_within(-9, 9))
    assert math.isnan(found.mean) == (values == ())


def test_values_that_do_not_scatter():
    found = Estimate((2.0,) * 5)
    assert found.interval() == (2.0, 2.0)
    assert found.p_differs() == 0.0 and found.p_differs(2.0) == 1.0
    assert found.p_within(1, 3) == 0.0 and found.p_within(3, 4) == 1.0


def test_intervals_of_five_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        low, high = Estimate(tuple(rng.normal(1.0, 2.0, 5))).interval()
        covered += low <= 1.0 <= high
    assert abs(covered / 2000 - 0.95) < 0.015
