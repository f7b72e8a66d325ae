"""Arithmetic of vectors as long as a model has weights, beside a device that computes.

NumPy's BLAS would take all cores for these, and its threads go on waiting for more work for a
while, which slows the products with the Hessian that follow. So these functions stay on the
thread that calls them, and add pieces up in double precision.
"""

from __future__ import annotations

import math

import numpy as np

_PIECE = 2**15  # short enough for a cache


def inner(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The inner product of each row with a vector.

    Example:
    >>> inner(np.eye(2, 3), np.arange(3.0)).tolist()
    [0.0, 1.0]
    """
    total = np.zeros(len(rows))
    for start in range(0, vector.size, _PIECE):
        piece = slice(start, start + _PIECE)
        total += np.einsum("kn,n->k", rows[:, piece], vector[piece])
    return total


def dot(one: np.ndarray, other: np.ndarray) -> float:
    """The inner product of two vectors."""
    pieces = (slice(start, start + _PIECE) for start in range(0, one.size, _PIECE))
    return sum(float(np.einsum("n,n->", one[piece], other[piece])) for piece in pieces)


def norm(vector: np.ndarray) -> float:
    """The Euclidean length of a vector."""
    return math.sqrt(dot(vector, vector))


def combined(coordinates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The sum of rows, each times a coordinate, in the rows' precision.

    Example:
    >>> combined(np.array([2.0, 3.0]), np.eye(2, 3)).tolist()
    [2.0, 3.0, 0.0]
    """
    return np.einsum("k,kn->n", coordinates.astype(rows.dtype), rows)


def take_out(basis: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Makes a vector orthogonal to a basis, in place; returns what it had of it in coordinates."""
    taken = np.zeros(len(basis))
    for _ in range(2):  # twice is enough (Giraud and others 2005)
        coordinates = inner(basis, vector)
        vector -= combined(coordinates, basis)
        taken += coordinates
    return taken
