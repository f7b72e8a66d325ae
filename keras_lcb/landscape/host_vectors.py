"""Arithmetic of long NumPy vectors on the host, while the device may compute.

The vectors have as many elements as a model has weights. NumPy's BLAS would use all cores for them.
Its threads then keep waiting for more work for a while, and this slows down the Hessian-vector
products that follow. The functions here therefore stay on the calling thread, and add pieces up in
double precision.
"""

from __future__ import annotations

import math

import numpy as np

_PIECE = 2**15  # elements; a piece of this size fits into the processor's cache


def inner(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Returns the inner product of each row with a vector.

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
    """Returns the inner product of two vectors."""
    pieces = (slice(start, start + _PIECE) for start in range(0, one.size, _PIECE))
    return sum(float(np.einsum("n,n->", one[piece], other[piece])) for piece in pieces)


def norm(vector: np.ndarray) -> float:
    """Returns the Euclidean norm of a vector."""
    return math.sqrt(dot(vector, vector))


def combined(coordinates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the sum of the rows, each multiplied by its coordinate, in the rows' precision.

    Example:
    >>> combined(np.array([2.0, 3.0]), np.eye(2, 3)).tolist()
    [2.0, 3.0, 0.0]
    """
    return np.einsum("k,kn->n", coordinates.astype(rows.dtype), rows)


def project_out(basis: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Makes a vector orthogonal to a basis, in place.

    Args:
        basis: Orthonormal vectors, one in each row.
        vector: The vector, which is changed.

    Returns:
        The coordinates in the basis of the part that was subtracted.
    """
    subtracted = np.zeros(len(basis))
    for _ in range(2):  # twice is enough (Giraud and others 2005)
        coordinates = inner(basis, vector)
        vector -= combined(coordinates, basis)
        subtracted += coordinates
    return subtracted
