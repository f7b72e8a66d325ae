"""The part of a function of scattered points that varies fast, by a Gaussian kernel."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike


class GaussianFilter:
    """Splits functions of points into a low-frequency part and a rest.

    The low part of f is the average Σⱼ Kᵢⱼ f(xⱼ) with weights Kᵢⱼ ∝ exp(−‖xᵢ − xⱼ‖² / 2δ) that
    add up to 1 for each i; what the average leaves is the high part. So no transform in as many
    dimensions as an image has pixels is needed.

    A plane wave of frequency k is damped by exp(−2π²δk²). The cut-off is the frequency that is
    damped to one half; it stands for δ, and counts waves over the root mean square of the
    distances between two points, so that it means the same for any scale of the points.

    Points in many dimensions lie far from each other. Where the average is mostly the point's own
    value, it passes on everything, and nothing can be told of the frequency; `own_weight` says so.

    Args:
        gram: X Xᵀ for the points X, one a row, less their mean or not.
        cutoff: The cut-off frequency, in waves over the typical distance.

    Attributes:
        kernel: The weights K, (points, points).
        own_weight: Mean weight of a point's own value, from 1 / points to 1.

    Source: Xu, Zhang, Luo, Xiao & Ma (2020), "Frequency Principle: Fourier Analysis Sheds Light
    on Deep Neural Networks" (arXiv 1901.06523), where it is called the filtering method.

    Example:
    >>> x = np.linspace(0, 1, 400, endpoint=False)[:, None]
    >>> low, high = np.sin(2 * np.pi * 3 * x), np.sin(2 * np.pi * 40 * x)
    >>> splitting = GaussianFilter(x @ x.T, cutoff=4)  # 4 waves over 0.41, so about 10 over 1
    >>> round(splitting.share_above(low), 2), round(splitting.share_above(high), 2)
    (0.01, 1.0)
    """

    def __init__(self, gram: ArrayLike, cutoff: float) -> None:
        distances = squared_distances(np.asarray(gram, "float64"))
        points = len(distances)
        typical = distances.sum() / (points * (points - 1))  # squared
        with np.errstate(invalid="ignore", divide="ignore"):
            weights = np.exp(-distances / (2 * _variance(cutoff) * typical))
            self.kernel = weights / weights.sum(axis=1, keepdims=True)
        self.own_weight = float(np.diag(self.kernel).mean())

    def share_above(self, values: ArrayLike) -> float:
        """Returns the share of the high part in a function's energy.

        It is Σ|high|² / (Σ|high|² + Σ|low|²), less the function's mean, which has no frequency: of
        a plane wave of frequency k, (1 − g)² / ((1 − g)² + g²) with g = 2^−(k / cutoff)², which is
        one half at the cut-off.

        Args:
            values: The function at each point, (points, dimensions).

        Returns:
            The share, from 0 to 1; NaN for a constant, or for points that are all the same.
        """
        values = np.asarray(values, "float64").reshape(len(self.kernel), -1)
        varies = (values != values[:1]).any(axis=0)  # else a rounding error might pass for a value
        values = np.where(varies, values - values.mean(axis=0), 0.0)
        low = self.kernel @ values
        return _share(float(np.sum((values - low) ** 2)), float(np.sum(low**2)))

    def share_above_in(self, gram: ArrayLike) -> float:
        """Returns the same from the Gram matrix of the function's values, less their mean.

        Args:
            gram: F Fᵀ, (points, points), for values F less their mean.
        """
        gram = np.asarray(gram, "float64")
        low, high = self._forms
        return _share(float(np.sum(high * gram)), float(np.sum(low * gram)))

    @functools.cached_property
    def _forms(self) -> tuple[np.ndarray, np.ndarray]:
        """The matrices whose products with a Gram matrix are the energies of both parts."""
        rest = np.eye(len(self.kernel)) - self.kernel
        return self.kernel.T @ self.kernel, rest.T @ rest


def squared_distances(gram: np.ndarray) -> np.ndarray:
    """Returns ‖xᵢ − xⱼ‖² from the Gram matrix of the points."""
    squares = np.diag(gram)
    distances = np.maximum(squares[:, None] + squares - 2 * gram, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _variance(cutoff: float) -> float:
    """The kernel's variance δ that damps waves of a frequency to one half: 2π²δk² = ln 2."""
    return math.log(2) / (2 * math.pi**2 * cutoff**2)


def _share(high: float, low: float) -> float:
    total = high + low
    return high / total if 0 < total < math.inf else math.nan
