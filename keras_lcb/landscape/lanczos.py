"""Both ends of a symmetric matrix's spectrum from products with vectors (Lanczos 1950).

What takes products is written as a generator here: it yields vectors, and is sent the matrix
times each. Whoever drives it may then compute the products of several matrices at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

import numpy as np

Products = Generator[np.ndarray, np.ndarray, "Spectrum"]

# Of a basis, unless a handful of vectors takes more.
MOST_BYTES = 2**30
_LEAST_VECTORS = 12


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """What is known of a matrix after products with the vectors of a basis.

    Attributes:
        eigenvalues: Those of the matrix within the basis (Ritz values), in descending order.
        residuals: ‖Hv − λv‖ of each with its unit vector v.
        coordinates: The vectors v in the basis, one a column.
        basis: Orthonormal vectors, one a row.
        trace: Sum of vᵀHv over the basis.
        products: How many products were taken.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    coordinates: np.ndarray
    basis: np.ndarray
    trace: float
    products: int

    @property
    def relative_residuals(self) -> np.ndarray:
        """‖Hv − λv‖ / |λ|; 0 where the residual is, whatever λ."""
        zero = self.residuals == 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(zero, 0.0, self.residuals / np.abs(self.eigenvalues))

    def vector(self, rank: int) -> np.ndarray:
        """The unit vector of an eigenvalue."""
        return self.coordinates[:, rank].astype(self.basis.dtype) @ self.basis


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
    """The largest eigenvalues, and the smallest, from one Krylov space.

    Each new vector is orthogonalised twice against all others, so that no eigenvalue comes up a
    second time (Parlett 1998, chapter 13). A basis that has grown to its bound is replaced by
    its vectors at both ends of the spectrum (thick restart, Wu and Simon 2000). Residuals follow
    from the products already taken.

    Args:
        start: The vector to begin with; its type is that of the basis.
        count: How many of the largest eigenvalues.
        tolerance: Largest residual of these, relative to the eigenvalue; of the smallest,
            relative to the largest in magnitude.
        most_products: How many products at most, reached where tolerances are not.
        random: Where another vector comes from when the space of the first is exhausted.
        both_ends: Whether the smallest eigenvalue has to converge too.
        most_vectors: Bound of the basis; by default what fits in `MOST_BYTES`.

    Yields:
        Unit vectors, to be multiplied.

    Returns:
        What is known in the end.

    Example:
    >>> steps = lanczos(np.ones(3), 1, tolerance=1e-6, most_products=9,
    ...                 random=np.random.default_rng(0))
    >>> matrix, vector = np.diag([1.0, 2.0, 4.0]), next(steps)
    >>> try:
    ...     while True:
    ...         vector = steps.send(matrix @ vector)
    ... except StopIteration as end:
    ...     print(end.value.eigenvalues.round(6))
    [4. 2. 1.]
    """
    size, dtype = start.size, start.dtype
    room = min(most_vectors or _room(size, dtype), size, most_products)
    room = max(room, min(size, 2 * count + 4))
    floor = 4.0 * float(np.finfo(dtype).eps)
    basis = np.empty((room, size), dtype)
    # Column j holds the product with vector j in terms of the basis, `beyond` what all of them
    # have in the direction of the next vector.
    projected = np.zeros((room, room))
    beyond = np.zeros(0)
    vector = start / np.linalg.norm(start)
    known = products = 0
    while True:
        basis[known] = vector
        projected[known, :known] = beyond
        product = np.array((yield vector), dtype)
        known, products = known + 1, products + 1
        own = basis[:known]
        projected[:known, known - 1] = _orthogonalise(product, own)
        length = float(np.linalg.norm(product))
        beyond = np.zeros(known)
        beyond[-1] = length
        found = _ritz(own, projected[:known, :known], beyond, products)
        scale = float(np.abs(found.eigenvalues).max())
        exhausted = known == size or length <= floor * scale
        if known >= count and (
            exhausted
            or products >= most_products
            or _converged(found, count, tolerance, floor * scale, both_ends)
        ):
            return found
        if exhausted:
            product = random.standard_normal(size).astype(dtype)
            _orthogonalise(product, own)
            length = float(np.linalg.norm(product))
            beyond[-1] = 0.0
        if known == room:
            kept = _ends(known, count)
            chosen = found.coordinates[:, kept]
            basis[: len(kept)] = chosen.T.astype(dtype) @ own
            projected[: len(kept), : len(kept)] = chosen.T @ projected @ chosen
            beyond = beyond @ chosen
            known = len(kept)
        vector = product / length


def _room(size: int, dtype: np.dtype) -> int:
    return max(_LEAST_VECTORS, MOST_BYTES // (size * dtype.itemsize))


def _orthogonalise(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Takes from a vector, in place, what it has of a basis; returns that in coordinates."""
    taken = np.zeros(len(basis))
    for _ in range(2):  # twice is enough (Giraud and others 2005)
        coordinates = basis @ vector
        vector -= coordinates @ basis
        taken += coordinates
    return taken


def _ritz(basis: np.ndarray, projected: np.ndarray, beyond: np.ndarray, products: int) -> Spectrum:
    # Rounding leaves the products less symmetric than the matrix, which residuals must show.
    values, coordinates = np.linalg.eigh((projected + projected.T) / 2)
    inside = np.linalg.norm(projected @ coordinates - coordinates * values, axis=0)
    residuals = np.hypot(inside, beyond @ coordinates)
    return Spectrum(
        eigenvalues=values[::-1],
        residuals=residuals[::-1],
        coordinates=coordinates[:, ::-1],
        basis=basis,
        trace=float(np.trace(projected)),
        products=products,
    )


def _converged(
    found: Spectrum, count: int, tolerance: float, floor: float, both_ends: bool
) -> bool:
    wanted = np.maximum(tolerance * np.abs(found.eigenvalues[:count]), floor)
    if (found.residuals[:count] > wanted).any():
        return False
    scale = float(np.abs(found.eigenvalues).max())
    return not both_ends or bool(found.residuals[-1] <= max(tolerance * scale, floor))


def _ends(known: int, count: int) -> np.ndarray:
    """Which vectors a restart keeps: about half of them, more of the large end."""
    kept = max(known // 2, count + 2)
    below = min(kept // 3 + 1, known - count - 1)
    above = min(kept - below, known - below - 1)
    return np.r_[0:above, known - below : known]
