"""Ratios against SciPy's regression and against hand calculations."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb.analysis.time_ratio import time_ratio

TIMES = hnp.arrays(
    float,
    st.tuples(st.integers(1, 5), st.integers(2, 9)),
    elements=st.floats(1, 1000).map(lambda v: round(v, 2)),
)


@given(TIMES)
def test_it_is_the_regression_of_log_time_from_the_first_layer_to_the_last(times):
    place = np.arange(times.shape[1])
    slopes = [scipy.stats.linregress(place, np.log(own)).slope for own in times]
    expected = np.exp(np.array(slopes) * place[-1])
    found = time_ratio(times)
    np.testing.assert_allclose(found.of_runs, expected, rtol=1e-9)
    np.testing.assert_allclose(found.value, scipy.stats.gmean(expected), rtol=1e-9)
    reverse = time_ratio(times[:, ::-1])
    np.testing.assert_allclose(reverse.of_runs, 1 / expected, rtol=1e-9)


@given(TIMES.filter(lambda times: len(times) > 2), st.floats(0.01, 100))
def test_the_unit_of_time_does_not_matter(times, unit):
    np.testing.assert_allclose(time_ratio(unit * times).of_runs, time_ratio(times).of_runs)


def test_the_interval_and_the_tests_are_those_of_logarithms():
    logs = np.array([0.1, 0.5, 0.2, 0.4])
    found = time_ratio(np.exp(np.outer(logs, [0, 1])))
    result = scipy.stats.ttest_1samp(logs, 0)
    np.testing.assert_allclose(found.interval(), np.exp(result.confidence_interval()))
    np.testing.assert_allclose(found.p_differs(), result.pvalue)
    above = scipy.stats.ttest_1samp(logs, np.log(0.9), alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(logs, np.log(1.5), alternative="less").pvalue
    np.testing.assert_allclose(found.p_within(0.9, 1.5), max(above, below))
    assert str(found) == "1.35 [1.01, 1.80]"


@pytest.mark.parametrize("slow", [np.inf, np.nan])
def test_a_run_with_a_layer_that_has_no_time_leaves_all_without_a_ratio(slow):
    found = time_ratio(np.array([[1.0, 2.0, 4.0], [1.0, 2.0, slow]]))
    assert found.of_runs[0] == pytest.approx(4) and math.isnan(found.of_runs[1])
    assert not found.defined and math.isnan(found.value) and found.interval() is None
    assert math.isnan(found.p_differs()) and math.isnan(found.p_within(0.9, 1.11))
    assert str(found) == "not defined"


def test_too_little_for_a_ratio():
    assert not time_ratio(np.empty((0, 3))).defined
    assert not time_ratio(np.ones((4, 1))).defined and not time_ratio(np.ones((4, 0))).defined
    assert str(time_ratio(np.array([[1.0, 3.0]]))) == "3.00"
