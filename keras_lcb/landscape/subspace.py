"""Approximates the spectrum of a symmetric matrix on a growing subspace (Rayleigh-Ritz)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_lcb.landscape.host_vectors import combined, dot, norm, project_out


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Approximate eigenvalues and eigenvectors of a matrix H, from products with a basis V.

    Attributes:
        eigenvalues: Ritz values λ, the eigenvalues of H restricted to the basis, in descending
            order.
        residuals: ‖Hv − λv‖ for each λ and its unit Ritz vector v.
        coordinates: Coordinates of the Ritz vectors in the basis, one vector in each column.
        basis: The orthonormal vectors V, one in each row.
        outside: Vectors orthogonal to the basis. The parts of the products HV that lie outside of
            the basis are combinations of these vectors.
        shares: The coefficients of these combinations: a row for each vector of `outside`, a
            column for each vector of the basis.
        trace: Sum of vᵀHv over the vectors of the basis.
        products: Number of products.
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
        """Returns ‖Hv − λv‖ / |λ|; 0 where the residual is 0, even if λ is 0."""
        zero = self.residuals == 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(zero, 0.0, self.residuals / np.abs(self.eigenvalues))

    def vector(self, rank: int) -> np.ndarray:
        """Returns the unit Ritz vector of an eigenvalue."""
        return combined(self.coordinates[:, rank], self.basis)

    def residual(self, rank: int) -> np.ndarray:
        """Returns the part of Hv − λv outside of the basis; the part inside is rounding error."""
        residual = np.zeros_like(self.basis[0])
        for outside, share in zip(
            self.outside, self.shares @ self.coordinates[:, rank], strict=True
        ):
            residual += residual.dtype.type(share) * outside
        return residual


class Subspace:
    """Orthonormal vectors V, and the needed parts of the products HV, in little memory.

    The part of the products inside of the subspace is T = VᵀHV. The part outside is a combination
    of a few vectors w orthogonal to V, with a vector of coefficients c for each w:
    HV = VT + Σ wcᵀ. If every new vector is the outside part of the last product, there is only one
    w.

    Args:
        room: Largest number of vectors.
        size: Number of rows of the matrix.
        dtype: Type of the vectors.

    Attributes:
        known: Number of vectors in the basis.
        products: Number of products received.
        rounding: Norm below which a part of a product may be rounding error.
    """

    def __init__(self, room: int, size: int, dtype: np.dtype) -> None:
        self.room = room
        self.known = self.products = 0
        self.rounding = 0.0
        self._epsilon = 4.0 * float(np.finfo(dtype).eps)
        self._vectors = np.empty((room, size), dtype)
        self._inside = np.zeros((room, room))  # T; column j is the product with vector j
        self._outside: list[np.ndarray] = []  # the vectors w
        self._lengths: list[float] = []  # the norms of the vectors w
        self._shares = np.zeros((0, room))  # the coefficients c, one row for each w
        self._next: int | None = None  # index of the w that enters the basis next

    @property
    def basis(self) -> np.ndarray:
        """Returns the vectors of the basis, one in each row."""
        return self._vectors[: self.known]

    @property
    def exhausted(self) -> bool:
        """Returns whether the subspace is invariant: no product has a part outside of it."""
        return not self._outside

    def add(self, vector: np.ndarray, product: np.ndarray) -> None:
        """Adds a vector to the basis.

        Args:
            vector: A unit vector, orthogonal to the basis.
            product: The product of the matrix with this vector.
        """
        place = self.known
        product = np.array(product, vector.dtype)
        self.rounding = max(self.rounding, self._epsilon * norm(product))
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
        """Forgets outside vectors that are in the basis now, or are only rounding error."""
        basis_is_complete = self.known == self._vectors.shape[1]
        lengths = list(map(norm, self._outside))
        kept = [
            place
            for place, length in enumerate(lengths)
            if not basis_is_complete and place != self._next and length > self.rounding
        ]
        self._outside = [self._outside[place] for place in kept]
        self._lengths = [lengths[place] for place in kept]
        self._shares = self._shares[kept]
        self._next = None

    def orthogonalise(self, vector: np.ndarray) -> np.ndarray:
        """Makes a vector orthogonal to the basis, in place; returns the part it had in the basis.

        The returned array holds the coordinates of that part.
        """
        return project_out(self.basis, vector)

    def spectrum(self) -> Spectrum:
        """Computes the Ritz values, and the residuals of their vectors."""
        inside = self._inside[: self.known, : self.known]
        # Because of rounding, T is not exactly symmetric. Its symmetric part has the eigenvalues
        # and vectors; the residuals use T itself, and so include the asymmetry.
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
        """Returns the inner products of the outside vectors with each other."""
        gram = np.diag(np.square(self._lengths))
        for row, column in itertools.combinations(range(len(gram)), 2):
            gram[row, column] = dot(self._outside[row], self._outside[column])
            gram[column, row] = gram[row, column]
        return gram

    def direction(self, found: Spectrum, ranks: Sequence[int]) -> np.ndarray:
        """Returns the unit vector with which to extend the basis.

        This is the outside vector that contributes most to the residuals of the given ranks.

        Args:
            found: The spectrum of this subspace.
            ranks: Ranks of the eigenvalues whose residuals are to shrink.
        """
        shares = np.abs(self._shares[:, : self.known] @ found.coordinates[:, ranks]).max(axis=1)
        place = self._next = int(np.argmax(shares * self._lengths))
        outside = self._outside[place]
        vector = outside / outside.dtype.type(self._lengths[place])
        # An older outside vector may have lost most of its length to the vectors added since. The
        # small rest is inexact, and has to be made orthogonal again.
        if len(self._outside) > 1:
            self.orthogonalise(vector)
            vector /= vector.dtype.type(norm(vector))
        return vector

    def shrink(self, found: Spectrum, ranks: Sequence[int] | np.ndarray) -> None:
        """Replaces the basis by the Ritz vectors of the given ranks."""
        chosen = found.coordinates[:, ranks]
        shares = self._shares[:, : self.known] @ chosen
        inside = chosen.T @ self._inside[: self.known, : self.known] @ chosen
        vectors = np.stack([combined(coordinates, self.basis) for coordinates in chosen.T])
        self.known = len(ranks)
        self._vectors[: self.known] = vectors
        self._inside[: self.known, : self.known] = inside
        self._shares = np.zeros((len(shares), self.room))
        self._shares[:, : self.known] = shares
