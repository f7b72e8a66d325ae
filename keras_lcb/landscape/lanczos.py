"""Both ends of a symmetric matrix's spectrum from products with vectors (Lanczos 1950).

What takes products is written as a generator here: it yields vectors, and is sent the matrix
times each. Whoever drives it may then compute the products of several matrices at once.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from keras_lcb.landscape.subspace import Spectrum, Subspace
from keras_lcb.landscape.vectors import norm

Products = Generator[np.ndarray, np.ndarray, Spectrum]

# Of a basis, unless a handful of vectors takes more.
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
    """The largest eigenvalues, and the smallest, from Krylov spaces.

    Each new vector is orthogonalised twice against all others, so that no eigenvalue comes up a
    second time (Parlett 1998, chapter 13). A basis that has grown to its bound is replaced by
    its vectors at both ends of the spectrum (thick restart, Wu and Simon 2000). Residuals follow
    from the products already taken.

    The space of one vector has one eigenvector of each eigenvalue, however often the matrix has
    it. So where several are asked for, the search begins again from random vectors orthogonal to
    those found, until the largest eigenvalue that is left changes nothing.

    Args:
        start: The vector to begin with; its type is that of the basis.
        count: How many of the largest eigenvalues.
        tolerance: Largest residual of these, relative to the eigenvalue; of the smallest,
            relative to the largest in magnitude.
        most_products: How many products at most, reached where tolerances are not.
        random: Where further vectors come from.
        both_ends: Whether the smallest eigenvalue has to converge too.
        most_vectors: Bound of the basis; by default what fits in `MOST_BYTES`.

    Yields:
        Unit vectors, to be multiplied.

    Returns:
        What is known in the end.

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

    def search(vector: np.ndarray, further: int = 0) -> Products:
        above = count + further
        while True:
            space.add(vector, (yield vector))
            found = space.spectrum()
            if (
                space.exhausted
                or space.products >= most_products
                or _converged(found, count, further, tolerance, space.floor, both_ends)
            ):
                return found
            ranks = [*range(min(above, space.known)), *([-1] if both_ends else [])]
            vector = space.direction(found, ranks)
            if space.known == space.room:
                space.shrink(found, _ends(space.known, above))

    found = yield from search(start / dtype.type(norm(start)))
    while count > 1 and space.known < size and space.products < most_products:
        before = found.eigenvalues[:count]
        space.shrink(found, np.unique(np.r_[: len(before), space.known - 1]))
        vector = random.standard_normal(size).astype(dtype)
        space.orthogonalise(vector)
        found = yield from search(vector / dtype.type(norm(vector)), further=1)
        if len(before) == count:
            risen = found.eigenvalues[:count] - before > tolerance * np.abs(before)
            if not risen.any():
                break
    return found


def _room(size: int, dtype: np.dtype) -> int:
    return max(_LEAST_VECTORS, MOST_BYTES // (size * dtype.itemsize))


def _converged(
    found: Spectrum, count: int, further: int, tolerance: float, floor: float, both_ends: bool
) -> bool:
    """Whether those wanted are known; one further only has to be told from the last of them."""
    sizes, above = np.abs(found.eigenvalues), count + further
    if len(sizes) < above:
        return False
    allowed = tolerance * sizes[:above]
    allowed[count:] = allowed[count - 1 :].max()
    if (found.residuals[:above] > np.maximum(allowed, floor)).any():
        return False
    return not both_ends or bool(found.residuals[-1] <= max(tolerance * sizes.max(), floor))


def _ends(known: int, count: int) -> np.ndarray:
    """Which vectors a restart keeps: about half of them, more of the large end."""
    above, below = max(known // 3, count + 1), max(known // 6, 1)
    return np.r_[:above, known - below : known]
