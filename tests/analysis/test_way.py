"""Ways and angles against plain sums, SciPy's cosine distance and laws."""

import numpy as np
import pytest
import scipy.spatial.distance
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb.analysis.way import angle_to_end, way_from_start

WEIGHTS = hnp.arrays(
    float,
    st.tuples(st.integers(2, 6), st.integers(1, 5)),
    elements=st.floats(-9, 9).map(lambda v: round(v, 2)),
)


@given(WEIGHTS)
def test_against_plain_sums(weights):
    start, end = weights[0], weights[-1]
    whole = sum((b - a) ** 2 for a, b in zip(start, end, strict=True)) ** 0.5
    found = way_from_start(weights)
    if whole == 0:
        assert np.isnan(found).all()
        return
    expected = [
        sum((b - a) ** 2 for a, b in zip(start, now, strict=True)) ** 0.5 / whole for now in weights
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[0] == 0 and found[-1] == pytest.approx(1)


@given(WEIGHTS, st.floats(0.01, 100))
def test_angles_are_cosine_distances_whatever_the_lengths(weights, factor):
    found = angle_to_end(weights)
    for now, angle in zip(weights, found, strict=True):
        if not now.any() or not weights[-1].any():
            assert np.isnan(angle)
        else:
            expected = scipy.spatial.distance.cosine(now, weights[-1])
            assert angle == pytest.approx(expected, abs=1e-12)
    scales = np.geomspace(1, factor, len(weights))[:, None]
    np.testing.assert_allclose(angle_to_end(scales * weights), found, atol=1e-12)


def test_small_angles_are_exact():
    found = angle_to_end([[1.0, 1e-9], [1.0, 0.0]])
    assert found[0] == pytest.approx(0.5e-18, rel=1e-6)  # 1 − cos would be 0 in double precision


def test_a_given_endpoint():
    weights = np.array([[0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(way_from_start(weights, [4.0, 1.0]), [0, 0.25])
    np.testing.assert_allclose(angle_to_end(weights, [0.0, 7.0]), [0, 1 - 0.5**0.5])
    for function in (way_from_start, angle_to_end):
        with pytest.raises(ValueError, match="the same layer"):
            function(weights, [1.0])
        with pytest.raises(ValueError, match=r"\(steps, parameters\)"):
            function([1.0, 2.0])


def test_what_never_moved_or_diverged_has_no_way():
    assert np.isnan(way_from_start([[1.0, 2.0]] * 3)).all()
    assert np.isnan(way_from_start([[1.0, 2.0], [2.0, 2.0], [np.nan, 1.0]])).all()
    assert np.isnan(angle_to_end([[1.0, 2.0], [np.inf, 2.0]])).all()
