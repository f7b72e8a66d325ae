"""Linear CKA from Gram matrices of mini-batches, by the unbiased estimate of HSIC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

LEAST_SAMPLES = 4  # in a mini-batch: with fewer the unbiased estimate is not defined


def hsic_vector(grams: Iterable[ArrayLike]) -> np.ndarray:
    """Returns the vector whose scalar products are unbiased estimates of HSIC.

    With K̃ the U-centred Gram matrix (zero on the diagonal, and each row adds up to zero) the
    unbiased estimate of a mini-batch of n samples is HSIC₁(K, L) = Σ K̃ᵢⱼ L̃ᵢⱼ / (n (n − 3)). So
    the entries above the diagonal, times √(2 / (n (n − 3))), hold all that is needed of a
    mini-batch; those of several stand one after the other, since their estimates are added up.

    Args:
        grams: The Gram matrices of each mini-batch, (..., n, n); n is 4 or more, and may differ.

    Returns:
        Vectors (..., Σ n (n − 1) / 2) in double precision.

    Source: Song et al. (2012), "Feature selection via dependence maximization", for the estimate;
    in this form Székely & Rizzo (2014), "Partial distance correlation with methods for
    dissimilarities".

    Example:
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
    return (above + of_all[..., None]) * np.sqrt(2 / (samples * (samples - 3)))


def vector_size(batches: Sequence[int]) -> int:
    """Returns the length of `hsic_vector` for mini-batches of so many samples each."""
    return sum(samples * (samples - 1) // 2 for samples in batches)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Returns the vectors along the last axis with length 1; zero and NaN stay as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=vectors.copy(), where=lengths > 0)


def cka(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns linear CKA, from 1 for representations alike but for rotation and scale.

    CKA = Σ HSIC₁(K, L) / √(Σ HSIC₁(K, K) · Σ HSIC₁(L, L)), sums being over mini-batches: the
    cosine between the two `hsic_vector`s. It is near 0 for unrelated representations, and may be
    a little below, since the estimates are unbiased.

    Args:
        one: Vectors of `hsic_vector` along the last axis.
        other: Others of the same shape.

    Returns:
        CKA over the other axes; NaN where a representation is the same for all samples, or not
        finite.

    Source: Nguyen, Raghu & Kornblith (2020), "Do Wide and Deep Networks Learn the Same Things?",
    arXiv 2010.15327.

    Example:
    >>> x = np.random.default_rng(0).normal(size=(8, 3))
    >>> turned = x[:, ::-1] * -2.0
    >>> one, other = (hsic_vector([a @ a.T]) for a in (x, turned))
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
