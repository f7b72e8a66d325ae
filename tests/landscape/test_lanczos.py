"""Lanczos and the trace on matrices in NumPy, whose eigenvalues are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lcb.landscape.lanczos import lanczos
from keras_lcb.landscape.trace import remaining_trace


def driven(steps, matrix):
    """Sends a generator the products it asks for; what it returns, and how many there were."""
    taken = 0
    vector = next(steps)
    while True:
        taken += 1
        try:
            vector = steps.send(matrix @ vector)
        except StopIteration as end:
            return end.value, taken


def matrix_with(eigenvalues, seed=0):
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(len(eigenvalues),) * 2))[0]
    return (basis * np.asarray(eigenvalues)) @ basis.T


def search(matrix, count=1, dtype="float64", **options):
    random = np.random.default_rng(7)
    options = {"tolerance": 1e-8, "most_products": 500, "random": random, **options}
    start = random.standard_normal(len(matrix)).astype(dtype)
    return driven(lanczos(start, count, **options), matrix.astype(dtype))


BULK = np.random.default_rng(1).normal(size=95)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("most_vectors", [None, 14])
@pytest.mark.parametrize("outliers", [[9, 8, 5, 4, -6], [9, 8.5, 8, 7.5, 7], [-9, -8, -7, -6, -5]])
def test_both_ends_are_found_in_memory_as_bounded(outliers, most_vectors, dtype):
    matrix = matrix_with([*outliers, *BULK])
    exact = np.sort([*outliers, *BULK])[::-1]
    tolerance = 1e-8 if dtype == "float64" else 1e-4
    found, taken = search(matrix, 3, dtype, tolerance=tolerance, most_vectors=most_vectors)
    rtol = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found.eigenvalues[:3], exact[:3], rtol=rtol, atol=rtol * 9)
    np.testing.assert_allclose(found.eigenvalues[-1], exact[-1], rtol=10 * rtol)
    assert found.products == taken < 500
    assert len(found.basis) <= (most_vectors or 100)


@pytest.mark.parametrize("most_vectors", [None, 14])
def test_residuals_are_those_of_the_eigenpairs(most_vectors):
    matrix = matrix_with([9, 8, 5, 4, -6, *BULK])
    found, _ = search(matrix, 3, tolerance=1e-3, most_vectors=most_vectors)
    assert (found.relative_residuals[:3] <= 1e-3).all()
    for rank in (0, 1, 2, -1):
        vector, value = found.vector(rank), found.eigenvalues[rank]
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-10)
        true = np.linalg.norm(matrix @ vector - value * vector)
        assert found.residuals[rank] == pytest.approx(true, rel=1e-6, abs=1e-12)
        assert found.relative_residuals[rank] == pytest.approx(true / abs(value), rel=1e-6)


def test_residuals_show_that_products_are_not_symmetric():
    matrix = matrix_with([9, 8, 5, 4, -6, *BULK])
    matrix += 1e-3 * np.random.default_rng(0).normal(size=matrix.shape)
    found, taken = search(matrix, tolerance=1e-8, most_products=60)
    vector, value = found.vector(0), found.eigenvalues[0]
    true = np.linalg.norm(matrix @ vector - value * vector)
    assert taken == 60
    assert true > 1e-4
    assert found.residuals[0] == pytest.approx(true, rel=1e-6)


def test_basis_stays_orthonormal_and_holds_its_part_of_the_trace():
    matrix = matrix_with([9, 8, 5, 4, -6, *BULK])
    found, _ = search(matrix, most_vectors=14)
    basis = found.basis
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
    assert found.trace == pytest.approx(np.trace(basis @ matrix @ basis.T), rel=1e-10)


def test_fewer_products_where_only_the_large_end_matters():
    matrix = matrix_with([20, *BULK])
    assert search(matrix, both_ends=False)[1] < search(matrix)[1]


def test_stops_at_the_bound_of_products():
    found, taken = search(matrix_with(BULK), tolerance=1e-12, most_products=9)
    assert taken == found.products == 9
    assert found.relative_residuals[0] > 1e-12
    assert found.eigenvalues[0] < BULK.max()


def test_equal_eigenvalues_are_counted():
    found, _ = search(3.0 * np.eye(60), 4)
    np.testing.assert_allclose(found.eigenvalues, 3.0)
    assert len(found.eigenvalues) >= 4
    assert (found.relative_residuals < 1e-12).all()


@settings(max_examples=25)
@given(
    copies=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    count=st.integers(2, 6),
    most_vectors=st.sampled_from([None, 16, 25]),
    seed=st.integers(0, 99),
)
def test_as_many_of_each_eigenvalue_as_there_are(copies, count, most_vectors, seed):
    exact = np.concatenate([np.repeat([9.0, 7.5, 7.0], copies), 0.5 * BULK, [-8.0, -8.0]])
    matrix = matrix_with(exact, seed)
    found, taken = search(matrix, count, most_vectors=most_vectors)
    np.testing.assert_allclose(found.eigenvalues[:count], np.sort(exact)[::-1][:count], rtol=1e-9)
    assert (found.relative_residuals[:count] <= 1e-8).all()
    for rank in range(count):
        vector, value = found.vector(rank), found.eigenvalues[rank]
        true = np.linalg.norm(matrix @ vector - value * vector)
        assert found.residuals[rank] == pytest.approx(true, rel=1e-3, abs=1e-11)
    basis = found.basis
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-11)
    assert found.trace == pytest.approx(np.trace(basis @ matrix @ basis.T), rel=1e-9)
    assert found.products == taken < 500
    assert len(basis) <= (most_vectors or 500)


def test_a_single_eigenvalue_takes_no_products_for_equal_ones():
    matrix = matrix_with([5.0] * 3 + [1.0] * 40)  # so each vector's space has two dimensions
    assert search(matrix, 1)[1] == 2
    assert search(matrix, 2)[1] > 2


def test_no_curvature_at_all():
    found, taken = search(np.zeros((60, 60)))
    assert taken == 1
    assert found.eigenvalues[0] == found.relative_residuals[0] == 0.0


@settings(max_examples=30)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=12).filter(lambda v: max(map(abs, v)) > 1),
    st.integers(0, 99),
)
def test_a_small_matrix_is_exhausted(eigenvalues, seed):
    matrix = matrix_with(eigenvalues, seed)
    count = len(eigenvalues)
    found, _ = search(matrix, count, tolerance=1e-12)
    exact = np.sort(eigenvalues)[::-1]
    np.testing.assert_allclose(found.eigenvalues, exact, atol=1e-10 * abs(exact).max())
    assert found.trace == pytest.approx(sum(eigenvalues), abs=1e-8)


# The trace.


def outside(matrix, basis, samples=8, seed=0):
    random = np.random.default_rng(seed)
    return driven(remaining_trace(basis, samples, random), matrix)[0]


def test_trace_outside_of_the_basis_within_its_error():
    matrix = matrix_with([50, 30, *BULK])
    found, _ = search(matrix)
    exact = np.trace(matrix) - found.trace
    runs = np.array([outside(matrix, found.basis, seed=seed) for seed in range(200)])
    estimates, errors = runs.T
    # The mean over many seeds tells a bias from noise; the errors say how far single ones are.
    assert estimates.mean() == pytest.approx(exact, abs=4 * estimates.std() / np.sqrt(200))
    assert np.sqrt((errors**2).mean()) == pytest.approx(estimates.std(), rel=0.15)


def test_large_eigenvalues_in_the_basis_make_no_noise():
    matrix = matrix_with([500, 300, *BULK])
    found, _ = search(matrix)
    nothing = np.zeros((0, len(matrix)))
    assert outside(matrix, found.basis)[1] < 0.2 * outside(matrix, nothing)[1]


def test_nothing_is_outside_of_a_whole_basis():
    steps = remaining_trace(np.eye(3), 5, np.random.default_rng(0))
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == (0.0, 0.0)
