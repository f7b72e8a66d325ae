"""The trace of a matrix from products with random vectors."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np

from keras_lcb.landscape.vectors import dot, take_out


def remaining_trace(
    basis: np.ndarray, samples: int, random: np.random.Generator
) -> Generator[np.ndarray, np.ndarray, tuple[float, float]]:
    """The part of a matrix's trace that lies outside of a basis, with its standard error.

    With the trace within the basis, which is exact, this is the Hutch++ estimator (Meyer and
    others 2021): the few large eigenvalues, which make random estimates noisy, are in the basis,
    here the one that Lanczos has built anyway. What remains is Hutchinson's (1989) mean of zᵀHz
    over vectors z of random signs, orthogonalised against the basis.

    Args:
        basis: Orthonormal vectors, one a row, which must not depend on the random vectors.
        samples: Number of random vectors, two or more.
        random: Where they come from.

    Yields:
        Vectors, to be multiplied.

    Returns:
        The estimate, and its standard error.
    """
    size = basis.shape[1]
    if len(basis) == size:
        return 0.0, 0.0
    forms = []
    for _ in range(samples):
        vector = random.choice(np.array([-1.0, 1.0], basis.dtype), size)
        take_out(basis, vector)
        product = yield vector
        forms.append(dot(vector, product))
    return float(np.mean(forms)), float(np.std(forms, ddof=1) / math.sqrt(samples))
