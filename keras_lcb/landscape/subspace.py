"""What products with vectors tell of a symmetric matrix: Rayleigh-Ritz on a growing subspace."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_lcb.landscape.vectors import combined, dot, norm, take_out


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """What is known of a matrix after products with the vectors of a basis.

    Attributes:
        eigenvalues: Those of the matrix within the basis (Ritz values), in descending order.
        residuals: ‖Hv − λv‖ of each with its unit vector v.
        coordinates: The vectors v in the basis, one a column.
        basis: Orthonormal vectors V, one a row.
        outside: What their products have beyond the basis: vectors, orthogonal to it.
        shares: How much the product with each vector of the basis (column) has of each of those.
        trace: Sum of vᵀHv over the basis.
        products: How many products were taken.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    coordinates: np.ndarray
    basis: np.ndarray
    outside: Sequence[np.ndarray]
    shares: np.ndarray
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
        return combined(self.coordinates[:, rank], self.basis)

    def residual(self, rank: int) -> np.ndarray:
        """Hv − λv of an eigenvalue's unit vector v, without what is rounding."""
        residual = np.zeros_like(self.basis[0])
        for outside, share in zip(
            self.outside, self.shares @ self.coordinates[:, rank], strict=True
        ):
            residual += residual.dtype.type(share) * outside
        return residual


class Subspace:
    """Orthonormal vectors V and the products HV, without keeping the products.

    What the products have within the basis is T = VᵀHV. What they have outside of it is kept as
    a few vectors w, orthogonal to V, with numbers c that say how much each product has of them:
    HV = VT + Σ wcᵀ. Vectors that continue from the last product leave a single one.

    Args:
        room: Most vectors.
        size: Rows of the matrix.
        dtype: Of the vectors.

    Attributes:
        known: How many vectors there are.
        products: How many products were taken.
        floor: What of a product is no more than rounding.
    """

    def __init__(self, room: int, size: int, dtype: np.dtype) -> None:
        self.room = room
        self.known = self.products = 0
        self.floor = 0.0
        self._epsilon = 4.0 * float(np.finfo(dtype).eps)
        self._vectors = np.empty((room, size), dtype)
        self._inside = np.zeros((room, room))  # column j: the product with vector j
        self._outside: list[np.ndarray] = []
        self._lengths: list[float] = []  # of those
        self._shares = np.zeros((0, room))  # one row for each vector outside
        self._leading: int | None = None  # the vector outside that comes into the basis next

    @property
    def basis(self) -> np.ndarray:
        """The vectors, one a row."""
        return self._vectors[: self.known]

    @property
    def exhausted(self) -> bool:
        """Whether the matrix does not lead out of the subspace."""
        return not self._outside

    def add(self, vector: np.ndarray, product: np.ndarray) -> None:
        """Takes a further vector, orthonormal to the others, and the matrix times it."""
        place = self.known
        product = np.array(product, vector.dtype)
        self.floor = max(self.floor, self._epsilon * norm(product))
        along = np.array([dot(outside, vector) for outside in self._outside])
        self._inside[place, :place] = along @ self._shares[:, :place]
        for outside, length in zip(self._outside, along, strict=True):
            outside -= vector.dtype.type(length) * vector
        self._vectors[place] = vector
        self.known, self.products = place + 1, self.products + 1
        self._inside[: place + 1, place] = self.orthogonalise(product)
        self._outside.append(product)
        self._shares = np.vstack([self._shares, np.eye(1, self.room, place)])
        self._drop_rounding()

    def _drop_rounding(self) -> None:
        whole = self.known == self._vectors.shape[1]
        lengths = list(map(norm, self._outside))
        kept = [
            place
            for place, length in enumerate(lengths)
            if not whole and place != self._leading and length > self.floor
        ]
        self._outside = [self._outside[place] for place in kept]
        self._lengths = [lengths[place] for place in kept]
        self._shares = self._shares[kept]
        self._leading = None

    def orthogonalise(self, vector: np.ndarray) -> np.ndarray:
        """Takes from a vector, in place, what it has of the basis; returns that in coordinates."""
        return take_out(self.basis, vector)

    def spectrum(self) -> Spectrum:
        """Eigenvalues within the basis, and how far their vectors are from the matrix's own."""
        inside = self._inside[: self.known, : self.known]
        # Rounding leaves the products less symmetric than the matrix, which residuals must show.
        values, coordinates = np.linalg.eigh((inside + inside.T) / 2)
        residuals = np.sum(np.square(inside @ coordinates - coordinates * values), axis=0)
        if self._outside:
            shares = self._shares[:, : self.known] @ coordinates
            gram = self._gram()
            residuals += np.maximum(np.sum(shares * (gram @ shares), axis=0), 0.0)
        return Spectrum(
            eigenvalues=values[::-1],
            residuals=np.sqrt(residuals)[::-1],
            coordinates=coordinates[:, ::-1],
            basis=self.basis,
            outside=self._outside,
            shares=self._shares[:, : self.known],
            trace=float(np.trace(inside)),
            products=self.products,
        )

    def _gram(self) -> np.ndarray:
        """Inner products of the vectors outside."""
        gram = np.diag(np.square(self._lengths))
        for row, column in itertools.combinations(range(len(gram)), 2):
            gram[row, column] = dot(self._outside[row], self._outside[column])
            gram[column, row] = gram[row, column]
        return gram

    def direction(self, found: Spectrum, ranks: Sequence[int]) -> np.ndarray:
        """The unit vector outside of the basis that adds most to some residuals, to be added."""
        shares = np.abs(self._shares[:, : self.known] @ found.coordinates[:, ranks]).max(axis=1)
        place = self._leading = int(np.argmax(shares * self._lengths))
        outside = self._outside[place]
        vector = outside / outside.dtype.type(self._lengths[place])
        if len(self._outside) > 1:  # it may be what little is left of an older one, and inexact
            self.orthogonalise(vector)
            vector /= vector.dtype.type(norm(vector))
        return vector

    def shrink(self, found: Spectrum, ranks: Sequence[int] | np.ndarray) -> None:
        """Replaces the basis by the eigenvectors of some ranks."""
        chosen = found.coordinates[:, ranks]
        shares = self._shares[:, : self.known] @ chosen
        inside = chosen.T @ self._inside[: self.known, : self.known] @ chosen
        vectors = np.stack([combined(coordinates, self.basis) for coordinates in chosen.T])
        self.known = len(ranks)
        self._vectors[: self.known] = vectors
        self._inside[: self.known, : self.known] = inside
        self._shares = np.zeros((len(shares), self.room))
        self._shares[:, : self.known] = shares
