"""Linear CKA from Gram matrices of mini-batches, by the unbiased estimate of HSIC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

# Centring leaves numbers of about this size, relative to the Gram matrix, where nothing is left.
_ROUNDING = 1e-12
LEAST_SAMPLES = 4  # of a mini-batch; the unbiased estimate is not defined for fewer


def hsic_vector(grams: Iterable[ArrayLike]) -> np.ndarray:
    """Returns vectors whose scalar products are unbiased estimates of HSIC.

    For a mini-batch of n samples, the unbiased estimate is HSIC₁(K, L) = Σ K̃ᵢⱼ L̃ᵢⱼ / (n (n − 3)).
    K̃ is the U-centred Gram matrix: its diagonal is zero, and the sum of each row is zero. It is
    symmetric, so its entries above the diagonal, multiplied by √(2 / (n (n − 3))), form a vector
    with this scalar product. The vectors of several mini-batches are concatenated, which adds up
    their estimates.

    Args:
        grams: The Gram matrices of each mini-batch, (..., n, n). n must be at least 4, and may be
            different for each mini-batch.

    Returns:
        Vectors (..., Σ n (n − 1) / 2) in float64.

    Source: Song et al. (2012), "Feature selection via dependence maximization", for the estimate;
    for this form, Székely & Rizzo (2014), "Partial distance correlation with methods for
    dissimilarities".

    Example:
    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> hsic_vector([x @ x.T]).round(3)
    array([ 1.179, -0.236, -0.943, -0.943, -0.236,  1.179])
    """
    return np.concatenate([_above_diagonal(np.asarray(gram, "float64")) for gram in grams], -1)


def _above_diagonal(gram: np.ndarray) -> np.ndarray:
    samples = gram.shape[-1]
    apart = gram * (1 - np.eye(samples))
    of_row = apart.sum(axis=-1) / (samples - 2)
    of_all = apart.sum(axis=(-2, -1)) / ((samples - 1) * (samples - 2))
    rows, columns = np.triu_indices(samples, 1)
    above = gram[..., rows, columns] - of_row[..., rows] - of_row[..., columns]
    above += of_all[..., None]
    # As when the layer is active on a single sample. Its cosine with others would be random.
    nothing = np.linalg.norm(above, axis=-1) <= _ROUNDING * np.linalg.norm(gram, axis=(-2, -1))
    above[nothing] = 0.0
    return above * np.sqrt(2 / (samples * (samples - 3)))


def vector_size(batches: Sequence[int]) -> int:
    """Returns the length of `hsic_vector` for mini-batches of these sizes."""
    return sum(samples * (samples - 1) // 2 for samples in batches)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales the vectors along the last axis to length 1. Zero and NaN stay as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=vectors.copy(), where=lengths > 0)


def cka(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the linear CKA of representations.

    CKA = Σ HSIC₁(K, L) / √(Σ HSIC₁(K, K) · Σ HSIC₁(L, L)), where the sums go over mini-batches.
    This is the cosine between the two vectors of `hsic_vector`. It is 1 if the representations
    differ only by a rotation and a scale, and near 0 if they are unrelated. It may be slightly
    negative, because the estimates are unbiased.

    Args:
        one: Vectors of `hsic_vector`, along the last axis.
        other: Vectors to compare with, of the same shape.

    Returns:
        CKA, with the shape of the other axes. It is NaN if a representation is the same for all
        samples, or for all but one of each mini-batch, or not finite.

    Source: Nguyen, Raghu & Kornblith (2020), "Do Wide and Deep Networks Learn the Same Things?",
    arXiv 2010.15327.

    Example:
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(8, 3))
    >>> turned = x[:, ::-1] * -2.0
    >>> one, other = (hsic_vector([each @ each.T]) for each in (x, turned))
    >>> float(cka(one, other))
    1.0
    """
    product, own, others = (
        np.einsum("...i,...i->...", a, b, dtype="float64")
        for a, b in ((one, other), (one, one), (other, other))
    )
    lengths = np.sqrt(own) * np.sqrt(others)
    known = (lengths > 0) & np.isfinite(lengths)
    return np.divide(product, lengths, out=np.full_like(lengths, np.nan), where=known)
