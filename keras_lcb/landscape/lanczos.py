"""Finds both ends of a symmetric matrix's spectrum from matrix-vector products (Lanczos 1950).

The search is a generator: it yields a vector, and receives the product of the matrix with this
vector. So the caller can run searches for several matrices at once, and compute their products
together.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from keras_lcb.landscape.host_vectors import norm
from keras_lcb.landscape.subspace import Spectrum, Subspace

Products = Generator[np.ndarray, np.ndarray, Spectrum]

# The basis takes at most so many bytes, but always holds at least `_LEAST_VECTORS` vectors.
MOST_BYTES = 2**30
_LEAST_VECTORS = 12


def lanczos(
    start: np.ndarray,
    count: int,
    *,
    tolerance: float,
    most_products: int,
    random: np.random.Generator,
    both_ends: bool = True,
    most_vectors: int | None = None,
) -> Products:
    """Finds the largest eigenvalues, and the smallest, in Krylov spaces.

    Each new vector is orthogonalised twice against all others, so that rounding errors do not
    produce copies of an eigenvalue (Parlett 1998, chapter 13). When the basis is full, the
    eigenvectors at both ends of the spectrum replace it (thick restart, Wu and Simon 2000). The
    residuals follow from products that have already been computed.

    A Krylov space of one start vector holds only one eigenvector of each eigenvalue, even if the
    matrix has the eigenvalue several times. So if several eigenvalues are wanted, the search starts
    again from a random vector orthogonal to the eigenvectors found so far. It repeats this until
    the eigenvalues no longer rise.

    Args:
        start: The start vector. The basis has its type.
        count: Number of largest eigenvalues to find.
        tolerance: Residual at which an eigenvalue counts as found, relative to the eigenvalue. For
            the smallest eigenvalue it is relative to the largest magnitude.
        most_products: Number of products after which the search ends in any case.
        random: The random generator for further start vectors.
        both_ends: Whether the smallest eigenvalue has to converge, too.
        most_vectors: Largest size of the basis. By default as many as fit into `MOST_BYTES`.

    Yields:
        Unit vectors to multiply by the matrix.

    Returns:
        What the products have shown of the spectrum.

    Example:
    >>> steps = lanczos(np.ones(3), 2, tolerance=1e-6, most_products=9,
    ...                 random=np.random.default_rng(0))
    >>> matrix, vector = np.diag([1.0, 4.0, 4.0]), next(steps)
    >>> try:
    ...     while True:
    ...         vector = steps.send(matrix @ vector)
    ... except StopIteration as end:
    ...     print(end.value.eigenvalues.round(6))
    [4. 4. 1.]
    """
    size, dtype = start.size, start.dtype
    most_products = max(most_products, count)
    room = min(most_vectors or _room(size, dtype), size, most_products)
    space = Subspace(max(room, min(size, 2 * count + 4)), size, dtype)

    def search(vector: np.ndarray, wanted: int) -> Products:
        while True:
            space.add(vector, (yield vector))
            found = space.spectrum()
            if (
                space.exhausted
                or space.products >= most_products
                or _converged(found, count, wanted, tolerance, space.rounding, both_ends)
            ):
                return found
            ranks = [*range(min(wanted, space.known)), *([-1] if both_ends else [])]
            vector = space.direction(found, ranks)
            if space.known == space.room:
                space.shrink(found, _kept_at_restart(space.known, wanted))

    found = yield from search(start / dtype.type(norm(start)), wanted=count)
    while count > 1 and space.known < size and space.products < most_products:
        before = found.eigenvalues[:count]
        space.shrink(found, np.unique(np.r_[: len(before), space.known - 1]))
        vector = random.standard_normal(size).astype(dtype)
        space.orthogonalise(vector)
        found = yield from search(vector / dtype.type(norm(vector)), wanted=count + 1)
        if len(before) == count:
            risen = found.eigenvalues[:count] - before > tolerance * np.abs(before)
            if not risen.any():
                break
    return found


def _room(size: int, dtype: np.dtype) -> int:
    """Returns how many vectors of this size and type fit into `MOST_BYTES`."""
    return max(_LEAST_VECTORS, MOST_BYTES // (size * dtype.itemsize))


def _converged(
    found: Spectrum, count: int, wanted: int, tolerance: float, rounding: float, both_ends: bool
) -> bool:
    """Returns whether the residuals are small enough.

    The first `count` eigenvalues must reach the tolerance. If `wanted` is larger, the search only
    has to show that no further copy of the last of them exists. The eigenvalues after `count` may
    therefore have the same absolute error as that one.

    Args:
        found: The spectrum so far.
        count: Number of largest eigenvalues to find.
        wanted: Number of largest eigenvalues to look at: `count`, or one more.
        tolerance: Relative residual at which an eigenvalue counts as found.
        rounding: Absolute residual that rounding errors alone may cause.
        both_ends: Whether the smallest eigenvalue has to converge, too.
    """
    sizes = np.abs(found.eigenvalues)
    if len(sizes) < wanted:
        return False
    allowed = tolerance * sizes[:wanted]
    allowed[count:] = allowed[count - 1 :].max()
    if (found.residuals[:wanted] > np.maximum(allowed, rounding)).any():
        return False
    return not both_ends or bool(found.residuals[-1] <= max(tolerance * sizes.max(), rounding))


def _kept_at_restart(known: int, wanted: int) -> np.ndarray:
    """Returns the ranks that a restart keeps: a third at the large end, a sixth at the small."""
    large, small = max(known // 3, wanted + 1), max(known // 6, 1)
    return np.r_[:large, known - small : known]
