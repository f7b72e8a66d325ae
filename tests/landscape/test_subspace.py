"""Rayleigh-Ritz on subspaces that grow in any way, against the whole matrix in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.landscape.subspace import Subspace

SIZE = 30


@pytest.fixture
def matrix():
    random = np.random.default_rng(0)
    half = random.normal(size=(SIZE, SIZE))
    return half + half.T


def grown(matrix, moves, dtype="float64"):
    """A subspace with a vector for each letter: `r` at random, `c` the one that continues."""
    random = np.random.default_rng(1)
    space = Subspace(20, SIZE, np.dtype(dtype))
    for move in moves:
        if move == "c":
            vector = space.direction(space.spectrum(), range(min(space.known, 2)))
        elif move == "s":
            space.shrink(space.spectrum(), [0, 1, -1])
            continue
        else:
            vector = random.normal(size=SIZE).astype(dtype)
            space.orthogonalise(vector)
            vector /= np.linalg.norm(vector)
        space.add(vector, (matrix @ vector).astype(dtype))
    return space


@pytest.mark.parametrize("moves", ["r", "rccccc", "rrr", "rccrcccrcc", "rcccsrccsccc", "rrccsrrc"])
def test_what_is_said_of_the_matrix_is_true(matrix, moves):
    space = grown(matrix, moves)
    found, basis = space.spectrum(), space.basis
    np.testing.assert_allclose(basis @ basis.T, np.eye(space.known), atol=1e-13)
    inside = basis @ matrix @ basis.T
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(inside)[::-1], atol=1e-12)
    assert found.trace == pytest.approx(np.trace(inside), abs=1e-12)
    assert found.products == space.products == len(moves.replace("s", ""))
    for rank, value in enumerate(found.eigenvalues):
        vector = found.vector(rank)
        residual = matrix @ vector - value * vector
        assert found.residuals[rank] == pytest.approx(np.linalg.norm(residual), abs=1e-11)
        np.testing.assert_allclose(found.residual(rank), residual, atol=1e-11)


def test_continuing_makes_the_krylov_space(matrix):
    space = grown(matrix, "rcccc")
    start = space.basis[0]
    powers = np.stack([np.linalg.matrix_power(matrix, power) @ start for power in range(5)])
    outside = powers - powers @ space.basis.T @ space.basis
    assert (np.linalg.norm(outside, axis=1) < 1e-10 * np.linalg.norm(powers, axis=1)).all()


def test_residuals_show_rounding(matrix):
    space = grown(matrix, "rcccrccc", "float32")
    found = space.spectrum()
    for rank, value in enumerate(found.eigenvalues):
        vector = found.vector(rank).astype("float64")
        true = np.linalg.norm(matrix @ vector - value * vector)
        assert found.residuals[rank] == pytest.approx(true, abs=1e-4)


def test_an_invariant_subspace_leads_nowhere():
    space = grown(np.diag([2.0] * SIZE), "r")
    assert space.exhausted
    assert space.spectrum().eigenvalues == pytest.approx([2.0])
    assert space.spectrum().residuals == pytest.approx([0.0], abs=1e-14)
    assert not grown(np.diag(np.arange(float(SIZE))), "r").exhausted
