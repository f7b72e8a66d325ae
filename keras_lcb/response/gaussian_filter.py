"""Splits functions of scattered points by frequency, with a Gaussian kernel."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike


class GaussianFilter:
    """Splits functions of points into a low-frequency part and a high-frequency part.

    The low-frequency part of f is the weighted average Σⱼ Kᵢⱼ f(xⱼ) over the points. Its weights
    Kᵢⱼ are proportional to exp(−‖xᵢ − xⱼ‖² / 2δ) and add up to 1 for each i. The high-frequency
    part is f minus this average. A Fourier transform would need as many dimensions as an image has
    pixels; this method does not.

    The average multiplies a plane wave of frequency k by exp(−2π²δk²). The cut-off is the frequency
    for which this factor is one half, and determines δ. It is the number of waves over the typical
    distance of two points (the root mean square), so it does not depend on the scale of the points.

    In many dimensions, points are far from each other. If the average consists mostly of the
    point's own value, it does not separate frequencies. `own_weight` measures this.

    Cost: for n points, n² exponentials and n² numbers of memory for the kernel.

    Args:
        gram: The Gram matrix X Xᵀ, where each row of X is a point. The mean of the points may be
            subtracted or not.
        cutoff: The cut-off frequency, in waves over the typical distance.

    Attributes:
        kernel: The weights K, (points, points).
        own_weight: The mean weight of a point's own value, from 1 / points to 1.

    Source: Xu, Zhang, Luo, Xiao & Ma (2020), "Frequency Principle: Fourier Analysis Sheds Light
    on Deep Neural Networks" (arXiv 1901.06523), where it is called the filtering method.

    Example:
    >>> x = np.linspace(0, 1, 400, endpoint=False)[:, None]
    >>> low, high = np.sin(2 * np.pi * 3 * x), np.sin(2 * np.pi * 40 * x)
    >>> splitting = GaussianFilter(x @ x.T, cutoff=4)  # 4 waves over 0.41: about 10 from 0 to 1
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
        """Returns the share of the high-frequency part in the energy of a function.

        It is Σ|high|² / (Σ|high|² + Σ|low|²), where the function's mean is subtracted first. For a
        plane wave of frequency k, it is (1 − g)² / ((1 − g)² + g²) with g = 2^−(k / cutoff)², which
        is one half at the cut-off.

        Args:
            values: The values of the function at each point, (points, dimensions).

        Returns:
            The share, from 0 to 1. It is NaN if the function is constant, or if all points are
            the same.
        """
        values = np.asarray(values, "float64").reshape(len(self.kernel), -1)
        varies = (values != values[:1]).any(axis=0)  # excludes rounding errors of constants
        values = np.where(varies, values - values.mean(axis=0), 0.0)
        low = self.kernel @ values
        return _share(float(np.sum((values - low) ** 2)), float(np.sum(low**2)))

    def share_above_in(self, gram: ArrayLike) -> float:
        """Returns the same share, computed from a Gram matrix of the function's values.

        Args:
            gram: F Fᵀ, (points, points), where F holds the values minus their mean.
        """
        gram = np.asarray(gram, "float64")
        low, high = self._forms
        return _share(float(np.sum(high * gram)), float(np.sum(low * gram)))

    @functools.cached_property
    def _forms(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns two matrices. Their scalar products with a Gram matrix are the parts' energy."""
        rest = np.eye(len(self.kernel)) - self.kernel
        return self.kernel.T @ self.kernel, rest.T @ rest


def squared_distances(gram: np.ndarray) -> np.ndarray:
    """Returns ‖xᵢ − xⱼ‖² from the Gram matrix of the points."""
    squares = np.diag(gram)
    distances = np.maximum(squares[:, None] + squares - 2 * gram, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _variance(cutoff: float) -> float:
    """Returns the variance δ for which a wave of this frequency is halved: 2π²δk² = ln 2."""
    return math.log(2) / (2 * math.pi**2 * cutoff**2)


def _share(high: float, low: float) -> float:
    total = high + low
    return high / total if 0 < total < math.inf else math.nan
