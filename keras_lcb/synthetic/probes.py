"""What each layer's features could say about a frequency, whether or not the output uses it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import threadpoolctl
import xarray as xr
from numpy.typing import ArrayLike

from keras_lcb.runs import schema
from keras_lcb.synthetic.features import layer_features

FOLDS = 5
_FEWEST_POINTS = 5 * FOLDS


def probe(
    model: keras.Model,
    x: ArrayLike,
    frequencies: ArrayLike,
    *,
    period: float = 2 * np.pi,
    ridge: float = 1e-6,
    seed: int = 0,
) -> xr.Dataset:
    """Measure how well each layer's features carry each frequency.

    For each hidden layer a ridge regression reads sin kx and cos kx from what the layer hands on
    (in a residual network, the sum so far). `r2` is the mean of their R² on points held out, over
    five interleaved folds. This says what a layer makes available, not what it contributes to the
    output; for that see `decompose`.

    Args:
        model: A chain of Dense layers, such as `build_network` gives.
        x: Inputs of shape (n, 1), at least 25.
        frequencies: Whole wave numbers k from 1 on, below n/2.
        period: Where wave number 1 has its period: 2π by default; 1 on [0, 1).
        ridge: Penalty relative to the features' mean sum of squares.
        seed: Seed of the folds.

    Returns:
        A run with `r2` (layer, frequency): 1 where a linear read-out gives the frequency exactly,
        about 0 where it gives nothing, and below where it misleads.

    Raises:
        ValueError: If a wave number is not resolved by the points, or there are too few points.

    Example:
        >>> import numpy as np
        >>> from keras_lcb.synthetic.networks import build_network
        >>> x = np.linspace(-np.pi, np.pi, 128, endpoint=False)[:, None]
        >>> result = probe(build_network(2, 16, period=2 * np.pi), x, [1, 3])
        >>> result.r2.dims, bool(result.r2[0, 0] > 0.99)
        (('layer', 'frequency'), True)
    """
    positions = np.asarray(x, dtype=np.float64)
    features = layer_features(model, x)
    wave_numbers = _resolved(frequencies, len(positions))
    if not (np.isfinite(period) and period > 0):
        raise ValueError(f"`period` must be positive, got {period}.")
    r2 = carried(features.values(), positions, wave_numbers, period, ridge=ridge, seed=seed)
    settings = {"probe": {"period": period, "ridge": ridge, "seed": seed, "folds": FOLDS}}
    return schema.dataset(
        {"r2": (("layer", "frequency"), r2)},
        {"layer": list(features), "frequency": wave_numbers},
        {"settings": settings},
    )


def carried(
    features: Iterable[np.ndarray],
    x: np.ndarray,
    frequencies: np.ndarray,
    period: float,
    *,
    ridge: float = 1e-6,
    seed: int = 0,
) -> np.ndarray:
    """Return R² of each layer's features for each frequency; see `probe`, which checks these.

    Args:
        features: Features (n, units), one array a layer.
        x: Points (n, 1).
        frequencies: Wave numbers.
        period: Where wave number 1 has its period.
        ridge: See `probe`.
        seed: See `probe`.
    """
    angle = 2 * np.pi / period * x * frequencies
    members = folds(x[:, 0], seed)
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    # Matrices as small as these are no work for several threads, which on a busy machine wait for
    # each other: 30 times as long, with all cores taken.
    with _blas().limit(limits=1):
        scores = [ridge_r2(values, waves, members, ridge) for values in features]
    sines, cosines = np.split(np.stack(scores), 2, axis=-1)
    return (sines + cosines) / 2


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def effective_target(
    model: keras.Model, x: ArrayLike, y: ArrayLike, widths: ArrayLike | None = None
) -> xr.DataArray:
    """Measure how low the frequency of the task is that a layer leaves to those above it.

    The layers above layer l see its features z and have to turn them into y: their effective
    target is y as a function of z. It is smoothed by a Gaussian of the distances between
    features, K_ij ∝ exp(-‖z_i - z_j‖²/2δ), each row summing to 1, and the ratio is
    ‖Ky‖²/‖y‖², with y around its mean. A larger ratio at the same δ means a lower frequency. The
    deep frequency principle says that it rises with depth during training. That is another
    quantity than what a layer contributes (`decompose`) or carries (`probe`).

    Features are scaled to a mean squared distance of 1 between points, our choice, so that
    layers of different scale compare.

    Args:
        model: A chain of Dense layers, such as `build_network` gives.
        x: Inputs of shape (n, 1).
        y: Target values of shape (n, 1).
        widths: The δ of the Gaussian. By default 1e-4 to 1, nine evenly spaced in the logarithm.

    Returns:
        `low_frequency_ratio` with dims (`layer`, `width`), each between 0 and about 1; NaN for a
        layer whose features are all the same.

    Raises:
        ValueError: If shapes disagree, `y` is constant, or a width is not positive.

    Reference:
        Xu & Zhou, Deep frequency principle towards understanding why deeper learning is faster,
        AAAI 2021, arXiv 2007.14313.

    Example:
        >>> import numpy as np
        >>> from keras_lcb.synthetic.networks import build_network
        >>> x = np.linspace(-np.pi, np.pi, 64, endpoint=False)[:, None]
        >>> effective_target(build_network(3, 16), x, np.sin(x)).sizes["width"]
        9
    """
    features = layer_features(model, x)
    values = np.asarray(y, dtype=np.float64)
    if values.shape != np.shape(x):
        raise ValueError(f"`y` must have the shape of `x`, {np.shape(x)}, got {values.shape}.")
    values = values - values.mean()
    if not np.any(values):
        raise ValueError("`y` is constant: it has no frequency.")
    given = np.logspace(-4, 0, 9) if widths is None else np.asarray(widths, dtype=np.float64)
    if given.ndim != 1 or not (np.isfinite(given).all() and (given > 0).all()):
        raise ValueError(f"`widths` must be a list of positive numbers, got {given}.")
    ratios = [
        [_low_frequency_ratio(distances, values[:, 0], width) for width in given]
        for distances in map(_squared_distances, features.values())
    ]
    return xr.DataArray(
        ratios,
        dims=("layer", "width"),
        coords={"layer": list(features), "width": given},
        name="low_frequency_ratio",
        attrs={
            "long_name": "low-frequency share of the effective target of the layers above",
            "units": "1",
        },
    )


def folds(positions: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return which of the five folds each point is in.

    Of every five neighbours one goes to each fold, in seeded order: every fold covers the whole
    domain, and none is a regular grid, on which some frequencies would vanish.

    Args:
        positions: Positions (n,).
        seed: Seed of the order.
    """
    blocks = -(-len(positions) // FOLDS)
    orders = np.tile(np.arange(FOLDS), (blocks, 1))
    shuffled = np.random.default_rng(seed).permuted(orders, axis=1).ravel()
    members = np.empty(len(positions), dtype=np.int64)
    members[np.argsort(positions, kind="stable")] = shuffled[: len(positions)]
    return members


def ridge_r2(
    features: np.ndarray, targets: np.ndarray, members: np.ndarray, ridge: float
) -> np.ndarray:
    """Return the cross-validated R² of a ridge regression with intercept, one value a target.

    One factorisation serves all targets and folds: with the hat matrix H of all points, the error
    at points f that were left out is (I - H_ff)⁻¹ times their error when they were not. This is
    exact, as the penalty does not depend on the fold.

    Args:
        features: (n, p).
        targets: (n, m).
        members: Fold of each point, (n,).
        ridge: Penalty relative to the features' mean sum of squares, positive.
    """
    if not ridge > 0:
        raise ValueError(f"`ridge` must be positive, got {ridge}.")
    centred = np.asarray(features, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    points = len(centred)
    penalty = ridge * (centred**2).sum() / centred.shape[1]
    if centred.shape[1] > points:  # only inner products count, and n columns hold them
        centred = np.linalg.qr(centred.T).R.T
    gram = centred.T @ centred
    # Features that are all the same have nothing to say, at any penalty.
    gram[np.diag_indices_from(gram)] += penalty or 1.0
    weights = np.linalg.solve(gram, centred.T)
    targets = targets - targets.mean(axis=0)
    errors = targets - centred @ (weights @ targets)
    scores = []
    for fold in np.unique(members):
        out = members == fold
        hat = centred[out] @ weights[:, out] + 1 / points
        left_out = np.linalg.solve(np.eye(len(hat)) - hat, errors[out])
        spread = ((targets[out] - targets[out].mean(axis=0)) ** 2).sum(axis=0)
        scores.append(1 - (left_out**2).sum(axis=0) / spread)
    return np.mean(scores, axis=0)


def _squared_distances(features: np.ndarray) -> np.ndarray:
    """Squared distances between all points, scaled to a mean of 1 between different points."""
    values = np.asarray(features, dtype=np.float64)
    values = values - values.mean(axis=0)
    squares = (values**2).sum(axis=1)
    distances = np.maximum(squares[:, np.newaxis] + squares - 2 * values @ values.T, 0.0)
    np.fill_diagonal(distances, 0.0)
    with np.errstate(invalid="ignore"):
        return distances / (distances.sum() / (len(values) * (len(values) - 1)))


def _low_frequency_ratio(distances: np.ndarray, values: np.ndarray, width: float) -> float:
    kernel = np.exp(-distances / (2 * width))
    smooth = kernel @ values / kernel.sum(axis=1)
    return (smooth**2).sum() / (values**2).sum()


def _resolved(frequencies: Any, points: int) -> np.ndarray:
    k = np.atleast_1d(np.asarray(frequencies))
    if points < _FEWEST_POINTS:
        raise ValueError(f"A probe needs {_FEWEST_POINTS} points or more, got {points}.")
    if np.any(k != np.round(k)) or np.any(k < 1):
        raise ValueError(f"A probe's wave numbers are whole and 1 or more, got {k}.")
    if k.size and k.max() >= points / 2:
        raise ValueError(
            f"{points} points resolve wave numbers below {points / 2:g}, their Nyquist limit, "
            f"got {k.max():g}: take more points or lower wave numbers."
        )
    return k.astype(np.int64)
