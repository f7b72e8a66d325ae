"""Measures what a linear read-out can find in a layer's features, used by the output or not."""

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
    """Measures how well a linear read-out of each layer's features reproduces each frequency.

    For each hidden layer, a ridge regression predicts sin kx and cos kx from the features that the
    layer passes on (in a residual network, the sum of the outputs so far). `r2` is the mean R² of
    the two on held-out points, over five interleaved folds. It shows what a layer makes available,
    not what the layer contributes to the output; for that, use `decompose`.

    The cost is one forward pass, and for each layer one factorisation of a matrix whose size is the
    number of units.

    Args:
        model: A chain of Dense layers, for example a network of `build_network`.
        x: Inputs of shape (n, 1), with n of at least 25.
        frequencies: Whole wave numbers k, 1 or more and less than n/2.
        period: The period of wave number 1. Defaults to 2π. For a target on [0, 1) it is 1.
        ridge: Penalty of the ridge regression, relative to the mean sum of squares of the
            features. Defaults to 1e-6.
        seed: Seed of the folds. Defaults to 0.

    Returns:
        A run, an `xarray.Dataset`, with `r2` (layer, frequency). It is 1 if a linear read-out
        reproduces the frequency exactly, about 0 if it is no better than a constant, and negative
        if it is worse than a constant.

    Raises:
        ValueError: If the points do not resolve a wave number, or there are too few points.

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
        raise ValueError(f"`period` must be positive; received {period}.")
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
    """Returns the R² of each layer's features for each frequency, without checking arguments.

    Args:
        features: The features of each layer, arrays (n, units).
        x: Points (n, 1).
        frequencies: Wave numbers.
        period: The period of wave number 1.
        ridge: See `probe`.
        seed: See `probe`.

    Returns:
        An array (layers, frequencies).
    """
    angle = 2 * np.pi / period * x * frequencies
    members = folds(x[:, 0], seed)
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    # The matrices are too small for several threads. On a machine whose cores are all busy, the
    # threads wait for each other, and this takes 30 times as long.
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
    """Measures the frequency of the function that the layers above each layer have to learn.

    The layers above layer l receive its features z, and have to map them to y. So their effective
    target is y as a function of z. This function is smoothed with a Gaussian of the distances
    between features, K_ij ∝ exp(-‖z_i - z_j‖²/2δ), where each row of K sums to 1. The result is the
    ratio ‖Ky‖²/‖y‖², with the mean of y subtracted. A larger ratio at the same δ means that the
    effective target has a lower frequency. The deep frequency principle says that the ratio rises
    with depth during training. The ratio differs from what a layer contributes to the output
    (`decompose`), and from what its features make available (`probe`).

    Unlike in the paper, features are scaled so that the mean squared distance between points is 1.
    So layers of different scale can be compared.

    The cost is one forward pass, and a matrix of n x n numbers for each layer and width.

    Args:
        model: A chain of Dense layers, for example a network of `build_network`.
        x: Inputs of shape (n, 1).
        y: Target values of shape (n, 1).
        widths: The values of δ. Defaults to nine values from 1e-4 to 1, evenly spaced on a
            logarithmic scale.

    Returns:
        An `xarray.DataArray` `low_frequency_ratio` with dims (`layer`, `width`). The ratios lie
        between 0 and about 1; NaN for a layer whose features are the same at all points.

    Raises:
        ValueError: If the shapes of `x` and `y` differ, `y` is constant, or a width is not
            positive.

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
        raise ValueError(
            f"`y` must have the shape of `x`, {np.shape(x)}; received the shape {values.shape}."
        )
    if not np.ptp(values):  # before the mean is subtracted, which leaves rounding errors
        raise ValueError("`y` must vary; received constant values, which have no frequency.")
    values = values - values.mean()
    given = np.logspace(-4, 0, 9) if widths is None else np.asarray(widths, dtype=np.float64)
    if given.ndim != 1 or not (np.isfinite(given).all() and (given > 0).all()):
        raise ValueError(f"`widths` must be a list of positive numbers; received {given}.")
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
    """Assigns each point to one of five folds.

    Of each five neighbouring points, one goes to each fold, in random order. So every fold covers
    the whole domain. A fold is not a regular grid, on which some frequencies would vanish.

    Args:
        positions: Positions of the points, (n,).
        seed: Seed of the random order.

    Returns:
        The number of the fold of each point, (n,), from 0 to 4.
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
    """Returns the cross-validated R² of a ridge regression with an intercept, for each target.

    One factorisation is enough for all targets and folds. Let H be the hat matrix of a regression
    on all points, and f the points of a fold. The errors at these points of a regression without
    them are (I - H_ff)⁻¹ e_f, where e_f are the errors of the regression on all points. This is
    exact, because the penalty is the same for all folds.

    Args:
        features: Features (n, p).
        targets: Values to predict (n, m).
        members: Fold of each point, (n,).
        ridge: Penalty relative to the mean sum of squares of the features; positive.

    Returns:
        The mean R² over the folds, (m,).

    Raises:
        ValueError: If `ridge` is not positive.
    """
    if not ridge > 0:
        raise ValueError(f"`ridge` must be positive; received {ridge}.")
    centred = np.asarray(features, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    points = len(centred)
    penalty = ridge * (centred**2).sum() / centred.shape[1]
    if centred.shape[1] > points:  # n columns are enough for the same inner products
        centred = np.linalg.qr(centred.T).R.T
    gram = centred.T @ centred
    # Features that are the same at all points give a penalty of 0. With any positive penalty, the
    # regression is the constant that it should be.
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
    """Returns the squared distances between all points, with a mean of 1 over different points."""
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


def check_points(points: int) -> None:
    """Checks that each fold has enough points for an R².

    Raises:
        ValueError: If there are too few points.
    """
    if points < _FEWEST_POINTS:
        raise ValueError(
            f"A probe of a plain network's layers needs {_FEWEST_POINTS} points or more; received "
            f"{points}."
        )


def _resolved(frequencies: Any, points: int) -> np.ndarray:
    k = np.atleast_1d(np.asarray(frequencies))
    check_points(points)
    if np.any(k != np.round(k)) or np.any(k < 1):
        raise ValueError(f"`frequencies` must be whole numbers, 1 or more; received {k}.")
    if k.size and k.max() >= points / 2:
        raise ValueError(
            f"{points} points resolve only wave numbers below {points / 2:g}, their Nyquist limit; "
            f"received {k.max():g}. Use more points or lower wave numbers."
        )
    return k.astype(np.int64)
