"""Estimates the trace of a matrix from its products with random vectors."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np

from keras_lcb.landscape.host_vectors import dot, project_out


def remaining_trace(
    basis: np.ndarray, samples: int, random: np.random.Generator
) -> Generator[np.ndarray, np.ndarray, tuple[float, float]]:
    """Estimates the part of a matrix's trace that lies outside of a basis.

    Added to the exact trace within the basis, this is the Hutch++ estimator (Meyer and others
    2021). The few large eigenvalues make a random estimate noisy. The basis of the Lanczos search
    covers them, so that they do not enter the random estimate. The remaining part is Hutchinson's
    estimator (1989): the mean of zᵀHz over vectors z of random signs, made orthogonal to the basis.

    Args:
        basis: Orthonormal vectors, one in each row. They must not depend on the random vectors.
        samples: Number of random vectors, two or more.
        random: The random generator to draw with.

    Yields:
        Vectors to multiply by the matrix.

    Returns:
        The estimate, and its standard error.
    """
    size = basis.shape[1]
    if len(basis) == size:
        return 0.0, 0.0
    forms = []
    for _ in range(samples):
        vector = random.choice(np.array([-1.0, 1.0], basis.dtype), size)
        project_out(basis, vector)
        product = yield vector
        forms.append(dot(vector, product))
    return float(np.mean(forms)), float(np.std(forms, ddof=1) / math.sqrt(samples))
