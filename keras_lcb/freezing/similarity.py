"""Linear CKA of activations, from Gram matrices of samples.

`keras_lcb.similarity` has an unbiased estimate of it. The simple formula is enough for freezing.
"""

from __future__ import annotations

import numpy as np


def gram(activations: np.ndarray) -> np.ndarray:
    """Returns the centred Gram matrix of the samples, in float64, with Frobenius norm 1.

    Args:
        activations: An array (samples, ...).
    """
    rows = np.asarray(activations, "float64").reshape(len(activations), -1)
    rows = rows - rows.mean(axis=0)
    products = rows @ rows.T
    size = np.linalg.norm(products)
    return products / size if size else products


def linear_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the linear CKA of two sets of activations, given as `gram` returns them.

    It lies between 0 and 1. It is 1 if the two sets differ only by a rotation, a scale and a shift,
    and NaN if the activations of a set are the same for all samples.

    Source: Kornblith, Norouzi, Lee and Hinton (2019), "Similarity of Neural Network
    Representations Revisited".

    Example:
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]])
    >>> round(linear_cka(gram(x), gram(3 * x[:, ::-1] + 1)), 6)
    1.0
    """
    return float(np.sum(one * other)) if one.any() and other.any() else float("nan")
