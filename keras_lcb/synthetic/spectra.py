"""Fourier coefficients on periodic grids, and quantities of layers that follow from them.

A grid of N points over one period, without its end point, resolves the wave numbers 0 … N/2. Phases
are counted from the first point of the grid. Shares, errors and centroids compare coefficients on
the same grid, so that they do not depend on this choice.

Every function takes an array whose last axis is `x` or `frequency`, or an `xarray.DataArray` with
this dimension. An array with a single column, as models and targets return it, counts as one row.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

_ROUNDING = 1e-14  # how far the values of a constant may be apart, relative to their size


@overload
def spectrum(values: xr.DataArray, frequencies: ArrayLike) -> xr.DataArray: ...
@overload
def spectrum(values: ArrayLike, frequencies: ArrayLike) -> np.ndarray: ...
def spectrum(values: Any, frequencies: ArrayLike) -> Any:
    """Returns complex Fourier coefficients: 2·FFT/N, but 1·FFT/N at k = 0 and k = N/2.

    With this factor, the coefficient of A sin(kx + φ) has the magnitude A. If the grid is not
    exactly one period long, energy leaks into all wave numbers; `leakage` measures how much. The
    cost is one FFT.

    Args:
        values: Values on a periodic grid: (…, N), (N, 1), or a DataArray with a dimension `x`.
        frequencies: Whole wave numbers from 0 to N/2.

    Returns:
        Complex coefficients (…, frequency); a DataArray if `values` is a DataArray.

    Raises:
        ValueError: If a wave number is not whole, or beyond the grid's Nyquist limit.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-np.pi, np.pi, 64, endpoint=False)
        >>> abs(spectrum(np.sin(x) + 0.5 * np.cos(3 * x) + 2, [0, 1, 2, 3])).round(6)
        array([2. , 1. , 0. , 0.5])
    """
    if isinstance(values, xr.DataArray):
        result = xr.apply_ufunc(
            spectrum,
            values,
            kwargs={"frequencies": frequencies},
            input_core_dims=[["x"]],
            output_core_dims=[["frequency"]],
            keep_attrs=False,
        )
        return result.assign_coords(frequency=np.asarray(frequencies, dtype=np.int64))
    rows = _rows(values)
    return _coefficients(rows)[..., _resolved(frequencies, rows.shape[-1])]


def frequency_share(coefficients: Any, target: Any) -> Any:
    """Returns the share of each target frequency that each part of a network carries.

    The share is Re(c · conj F) / |F|². If the network reproduces F, the shares of its parts sum to
    1. A part with a negative share works against the target.

    Args:
        coefficients: Coefficients c of the parts, (…, frequency).
        target: Coefficients F of the target, (frequency,).

    Returns:
        The shares (…, frequency).

    Raises:
        ValueError: If the target has no component at one of the frequencies.

    Example:
        >>> frequency_share([[0.25j], [-0.5j]], [1j])
        array([[ 0.25],
               [-0.5 ]])
    """
    coefficients, target = _both(coefficients, target)
    return (coefficients * np.conj(target)).real / abs(target) ** 2


def frequency_error(coefficients: Any, target: Any) -> Any:
    """Returns the relative error of a prediction at each frequency, |F̂ - F| / |F|.

    The error is 1 if the prediction has no component at this frequency, and 0 if the frequency is
    learned exactly.

    Args:
        coefficients: Coefficients F̂ of the prediction, (…, frequency).
        target: Coefficients F of the target, (frequency,).

    Returns:
        The errors (…, frequency).

    Raises:
        ValueError: If the target has no component at one of the frequencies.

    Example:
        >>> frequency_error([0.0, 1j], [1j, 2j])
        array([1. , 0.5])
    """
    coefficients, target = _both(coefficients, target)
    return abs(coefficients - target) / abs(target)


def frequency_centroid(values: Any) -> Any:
    """Returns the mean wave number of a function, weighted by energy: Σ k|c_k|² / Σ |c_k|².

    The sums run over 1 ≤ k < N/2. The result is NaN if the function has no energy there.

    The function is treated as periodic, with the length of the grid as its period. If its values
    at the two ends differ, which is usual for a layer's contribution, it has a jump there. The
    energy of a jump falls only like 1/k². So the result for a straight line is 4.05 on 512 points,
    which is more than for sin 3x, and it grows with the number of points. `leakage` measures how
    much energy lies outside of the frequencies of interest, and `share_centroid` looks only at
    these frequencies.

    Args:
        values: Values on a periodic grid: (…, N), (N, 1), or a DataArray with a dimension `x`.

    Returns:
        The mean wave number (…).

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-np.pi, np.pi, 64, endpoint=False)
        >>> float(round(frequency_centroid(np.sin(x) + np.sin(5 * x) + 7), 6))
        3.0
    """
    if isinstance(values, xr.DataArray):
        return xr.apply_ufunc(frequency_centroid, values, input_core_dims=[["x"]])
    energy = _energy(_rows(values))
    k = np.arange(1, energy.shape[-1] + 1)
    with np.errstate(invalid="ignore"):
        return (energy * k).sum(-1) / energy.sum(-1)


def share_centroid(
    share: Any, error: Any, frequencies: ArrayLike | None = None, threshold: float = 0.5
) -> Any:
    """Returns the mean wave number of each layer, over the target frequencies that are learned.

    This is Σ k·s_k / Σ s_k. The sums run over the target's wave numbers k whose error is below a
    threshold. s_k is the layer's share, or 0 if the share is negative. Unlike
    `frequency_centroid`, it uses only the frequencies of the target, so that energy that leaks
    into other frequencies has no effect. Energy that leaks into these frequencies still has one.
    Frequencies that are not learned are left out, because their shares do not show which layer
    carries them.

    Args:
        share: Shares of the layers, (…, frequency), as `frequency_share` returns them, or a
            DataArray with this dimension.
        error: Relative error at each frequency, (frequency,), or a DataArray with this dimension.
        frequencies: The wave numbers. Defaults to those of the DataArray.
        threshold: Error below which a frequency counts as learned. Defaults to 0.5.

    Returns:
        The mean wave number of each layer, (…). It is NaN if fewer than two frequencies are
        learned, because one frequency cannot distinguish layers, or if the layer carries none of
        the learned frequencies.

    Raises:
        ValueError: If `share` is an array and `frequencies` is not given.

    Example:
        >>> share_centroid([[0.5, 0.5, 9.0], [0.2, -0.1, 9.0]], [0.1, 0.1, 0.9], [1, 3, 10])
        array([2., 1.])
    """
    if isinstance(share, xr.DataArray):
        k = share["frequency"] if frequencies is None else frequencies
        options = {"frequencies": np.asarray(k), "threshold": threshold}
        core = [["frequency"], ["frequency"]]
        return xr.apply_ufunc(share_centroid, share, error, kwargs=options, input_core_dims=core)
    if frequencies is None:
        raise ValueError(
            "`frequencies` are needed if `share` is not a DataArray with the coordinate "
            "'frequency'; received None."
        )
    share, error = np.asarray(share, np.float64), np.asarray(error, np.float64)
    learned = error < threshold
    weight = np.where(learned, share.clip(min=0), 0)
    total = weight.sum(-1)
    defined = (total > 0) & (learned.sum(-1) >= 2)
    weighted = (weight * np.asarray(frequencies)).sum(-1)
    return np.divide(weighted, total, out=np.full(total.shape, np.nan), where=defined)


def leakage(values: Any, frequencies: ArrayLike) -> Any:
    """Returns the share of a function's energy that lies outside of the given wave numbers.

    The energy of the mean is left out. The share is 0 for a sum of sinusoids with these wave
    numbers on a periodic grid. Energy leaks into other wave numbers if the grid is not exactly one
    period long, or if the values at its two ends differ.

    Args:
        values: Values on a grid: (…, N), (N, 1), or a DataArray with a dimension `x`.
        frequencies: The wave numbers at which energy is expected.

    Returns:
        The share of the energy outside, (…), from 0 to 1.

    Raises:
        ValueError: If a wave number is not whole, or beyond the grid's Nyquist limit.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-np.pi, np.pi, 64, endpoint=False)
        >>> float(round(leakage(np.sin(3 * x), [3]), 6))
        0.0
        >>> float(round(leakage(np.sin(3.5 * x), [3, 4]), 2))
        0.19
    """
    if isinstance(values, xr.DataArray):
        return xr.apply_ufunc(
            leakage, values, kwargs={"frequencies": frequencies}, input_core_dims=[["x"]]
        )
    rows = _rows(values)
    # Wave number N/2 stands for one term of the Fourier sum, each lower wave number for two.
    coefficients = _coefficients(rows)
    energy = abs(coefficients) ** 2 / 2
    if rows.shape[-1] % 2 == 0:
        energy[..., -1] *= 2
    expected = np.unique(_resolved(frequencies, rows.shape[-1]))
    within = energy[..., expected[expected > 0]].sum(-1)
    with np.errstate(invalid="ignore"):
        return 1 - within / energy[..., 1:].sum(-1)


def time_to_learn(error: xr.DataArray, threshold: float = 0.5) -> xr.DataArray:
    """Returns the update at which the error of each frequency first falls below a threshold.

    Between two records, the error is interpolated linearly.

    Args:
        error: Relative errors with a dimension `step`, for example `frequency_error` of a run. Its
            records may be in any order.
        threshold: The threshold; positive. Defaults to 0.5.

    Returns:
        The number of updates, without the dimension `step`; NaN if the error never falls below the
        threshold.

    Raises:
        ValueError: If `error` is no DataArray with a dimension `step`, or the threshold is not
            positive.

    Example:
        >>> import xarray as xr
        >>> error = xr.DataArray(
        ...     [[1.0, 1.0], [0.4, 0.9], [0.1, 0.8]],
        ...     dims=("step", "frequency"),
        ...     coords={"step": [0, 60, 120], "frequency": [1, 10]},
        ... )
        >>> time_to_learn(error).values
        array([50., nan])
    """
    if not isinstance(error, xr.DataArray):
        raise ValueError(
            f"`error` must be an xarray.DataArray; received {type(error).__name__}. Of a run, pass "
            "`run.frequency_error`."
        )
    if "step" not in error.dims:
        raise ValueError(
            f"`error` must have a dimension 'step'; received the dimensions {error.dims}."
        )
    if not threshold > 0:
        raise ValueError(f"`threshold` must be positive; received {threshold}.")
    error = error.isel(step=np.argsort(error["step"].values)).compute()
    steps = error["step"].values.astype(np.float64)
    times = xr.apply_ufunc(
        lambda series: _first_below(steps, series, threshold),
        error,
        input_core_dims=[["step"]],
        vectorize=True,
        output_dtypes=[np.float64],
    )
    attrs = {"long_name": f"updates until the error is below {threshold:g}", "units": "updates"}
    return times.rename("time_to_learn").assign_attrs(attrs)


def _first_below(steps: np.ndarray, series: np.ndarray, threshold: float) -> float:
    recorded = np.isfinite(series)
    steps, series = steps[recorded], series[recorded]
    below = np.flatnonzero(series < threshold)
    if not below.size:
        return np.nan
    first = below[0]
    if first == 0:
        return steps[0]
    fraction = (series[first - 1] - threshold) / (series[first - 1] - series[first])
    return steps[first - 1] + fraction * (steps[first] - steps[first - 1])


def _rows(values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ValueError(f"A spectrum needs two values or more; received the shape {array.shape}.")
    return array


def _coefficients(rows: np.ndarray) -> np.ndarray:
    points = rows.shape[-1]
    coefficients = 2 * np.fft.rfft(rows, axis=-1) / points
    coefficients[..., 0] /= 2
    # Not the rounding errors of the transform, which are all that a constant would have.
    coefficients[np.ptp(rows, axis=-1) <= _ROUNDING * abs(rows).max(axis=-1), 1:] = 0
    if points % 2 == 0:
        coefficients[..., -1] /= 2
    return coefficients


def _energy(rows: np.ndarray) -> np.ndarray:
    """Returns |c_k|² for 1 ≤ k < N/2."""
    return abs(_coefficients(rows)[..., 1 : (rows.shape[-1] + 1) // 2]) ** 2


def _resolved(frequencies: ArrayLike, points: int) -> np.ndarray:
    k = np.asarray(frequencies)
    if k.size and (np.any(k != np.round(k)) or np.any(k < 0)):
        raise ValueError(f"Wave numbers must be whole numbers, 0 or more; received {k}.")
    if k.size and k.max() > points / 2:
        raise ValueError(
            f"{points} points resolve only wave numbers up to {points / 2:g}, their Nyquist limit; "
            f"received {k.max():g}. Use more points or lower wave numbers."
        )
    return k.astype(np.int64)


def _both(coefficients: Any, target: Any) -> tuple[Any, Any]:
    if not isinstance(coefficients, xr.DataArray):
        coefficients = np.asarray(coefficients)
    if not isinstance(target, xr.DataArray):
        target = np.asarray(target)
    size = np.abs(np.asarray(target))
    empty = size <= 1e-9 * size.max(initial=0.0)
    if empty.any():
        raise ValueError(
            "Received frequencies at which the target has no component, so a share or an error "
            "relative to the target is not defined. Leave out the frequencies in places "
            f"{np.flatnonzero(empty).tolist()}."
        )
    return coefficients, target
