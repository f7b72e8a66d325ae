"""Arithmetic of long vectors against NumPy's in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.landscape.host_vectors import combined, dot, inner, norm, project_out


@pytest.mark.parametrize("size", [1, 7, 2**15, 100_001])
def test_sums_are_those_of_double_precision(size):
    random = np.random.default_rng(size)
    rows, vector = random.normal(size=(3, size)), random.normal(size=size)
    short = rows.astype("float32"), vector.astype("float32")
    exact = short[0].astype("float64") @ short[1].astype("float64")
    scale = size**0.5
    np.testing.assert_allclose(inner(*short), exact, rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(inner(rows, vector), rows @ vector, rtol=1e-12, atol=1e-12 * scale)
    assert dot(*rows[:2]) == pytest.approx(rows[0] @ rows[1], abs=1e-12 * scale)
    assert norm(short[1]) == pytest.approx(np.linalg.norm(short[1].astype("float64")), rel=1e-6)
    coordinates = np.array([0.5, -2.0, 3.0])
    np.testing.assert_allclose(combined(coordinates, rows), coordinates @ rows, atol=1e-12)
    assert combined(coordinates, short[0]).dtype == np.float32


def test_long_sums_of_one_sign_keep_their_digits():
    """In single precision throughout, as many terms would be summed no further."""
    assert dot(*np.ones((2, 2**25), "float32")) == 2.0**25


def test_what_is_left_is_orthogonal():
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(5000, 4)))[0].T.astype("float32")
    vector = (basis.T @ [1e3, 2e3, 3e3, 4e3] + random.normal(size=5000)).astype("float32")
    before = vector.astype("float64")
    taken = project_out(basis, vector)
    np.testing.assert_allclose(taken, basis.astype("float64") @ before, rtol=1e-5)
    assert np.abs(basis @ vector).max() < 1e-5 * np.linalg.norm(vector)
