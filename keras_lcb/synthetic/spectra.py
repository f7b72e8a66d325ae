"""Fourier coefficients on periodic grids, and what they say of a layer.

A grid of N points over one period, its end left out, resolves the wave numbers 0 … N/2. Phases
are counted from the first point of the grid, whatever its position; shares, errors and centroids
compare coefficients of one grid, so that the choice does not matter to them.

Every function takes an array whose last axis is the one in question (a single column, as models
and targets return it, counts as one row), or an `xarray.DataArray` with that dimension.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike


@overload
def spectrum(values: xr.DataArray, frequencies: ArrayLike) -> xr.DataArray: ...
@overload
def spectrum(values: ArrayLike, frequencies: ArrayLike) -> np.ndarray: ...
def spectrum(values: Any, frequencies: ArrayLike) -> Any:
    """Return complex Fourier coefficients: 2·FFT/N, but 1·FFT/N at k = 0 and N/2.

    So A sin(kx + φ) has a coefficient of size A. On a grid that does not end where the period
    does, the energy leaks into all wave numbers; `leakage` tells how much.

    Args:
        values: Values on a periodic grid: (…, N), (N, 1), or a DataArray with a dimension `x`.
        frequencies: Whole wave numbers from 0 to N/2.

    Returns:
        Coefficients (…, frequency), complex; a DataArray for a DataArray.

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
    """Return how much of each of the target's frequencies a part carries, with its sign.

    share = Re(c · conj F) / |F|². The parts of a network that reproduces F have shares that sum
    to 1; a negative share works against the target.

    Args:
        coefficients: Coefficients c of the parts, (…, frequency).
        target: Coefficients F of the target, (frequency,).

    Raises:
        ValueError: If the target carries nothing at one of the frequencies.

    Example:
        >>> frequency_share([[0.25j], [-0.5j]], [1j])
        array([[ 0.25],
               [-0.5 ]])
    """
    coefficients, target = _both(coefficients, target)
    return (coefficients * np.conj(target)).real / abs(target) ** 2


def frequency_error(coefficients: Any, target: Any) -> Any:
    """Return how far a prediction is from the target at each frequency: |F̂ - F| / |F|.

    It is 1 for a prediction that has nothing of that frequency, and 0 once it is learned.

    Args:
        coefficients: Coefficients F̂ of the prediction, (…, frequency).
        target: Coefficients F of the target, (frequency,).

    Raises:
        ValueError: If the target carries nothing at one of the frequencies.

    Example:
        >>> frequency_error([0.0, 1j], [1j, 2j])
        array([1. , 0.5])
    """
    coefficients, target = _both(coefficients, target)
    return abs(coefficients - target) / abs(target)


def frequency_centroid(values: Any) -> Any:
    """Return the mean wave number of a function, weighted by energy: Σ k|c_k|² / Σ |c_k|².

    The sums run over 1 ≤ k < N/2; a function without energy there has none (NaN).

    It takes the function to start over where the grid ends. One that does not end where it began,
    as a layer's contribution mostly does not, has a jump there, whose energy falls only like
    1/k²: a straight line scores 4.05 on 512 points, above sin 3x, and the more the finer the grid.
    `leakage` tells how much of the energy is not at the frequencies in question, and
    `share_centroid` looks at these alone.

    Args:
        values: Values on a periodic grid: (…, N), (N, 1), or a DataArray with a dimension `x`.

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
    """Return the mean wave number of what a layer carries of the frequencies that are learned.

    Σ k·s_k / Σ s_k over the target's wave numbers k whose error is below a threshold, s_k being
    the layer's share, or 0 where it works against the target. Unlike `frequency_centroid`, it asks
    only for the target's own frequencies, so that what leaks into others has no weight; what leaks
    into these still has. Shares of what is not learned say nothing of who carries it.

    Args:
        share: Shares of the layers, (…, frequency), as `frequency_share` returns them, or a
            DataArray with that dimension.
        error: Relative error at each frequency, (frequency,), or a DataArray with that dimension.
        frequencies: The wave numbers; by default those of the DataArray.
        threshold: Error below which a frequency counts as learned. Default 0.5.

    Returns:
        The mean wave number of each layer, (…); NaN where fewer than two frequencies are learned,
        so that there is nothing to tell layers apart by, or the layer carries none of them.

    Raises:
        ValueError: If the shares do not name their wave numbers and `frequencies` is not given.

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
        raise ValueError("`frequencies` are needed where the shares do not name their own.")
    share, error = np.asarray(share, np.float64), np.asarray(error, np.float64)
    learned = error < threshold
    weight = np.where(learned, share.clip(min=0), 0)
    total = weight.sum(-1)
    told = (total > 0) & (learned.sum(-1) >= 2)
    middle = (weight * np.asarray(frequencies)).sum(-1)
    return np.divide(middle, total, out=np.full(total.shape, np.nan), where=told)


def leakage(values: Any, frequencies: ArrayLike) -> Any:
    """Return the share of the energy that lies outside the given wave numbers.

    For a sum of sinusoids on its periodic grid this is 0; where the grid does not end with the
    period, or the function starts over with a jump, energy leaks. The mean is left out.

    Args:
        values: Values on a grid: (…, N), (N, 1), or a DataArray with a dimension `x`.
        frequencies: The wave numbers at which energy is expected.

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
    # All of 1 … N/2 here, where N/2 carries its energy once and the others twice.
    coefficients = _coefficients(rows)
    energy = abs(coefficients) ** 2 / 2
    if rows.shape[-1] % 2 == 0:
        energy[..., -1] *= 2
    expected = np.unique(_resolved(frequencies, rows.shape[-1]))
    within = energy[..., expected[expected > 0]].sum(-1)
    with np.errstate(invalid="ignore"):
        return 1 - within / energy[..., 1:].sum(-1)


def time_to_learn(error: xr.DataArray, threshold: float = 0.5) -> xr.DataArray:
    """Return the update at which each frequency's error first falls below a threshold.

    Between two records the error is taken to be a straight line. NaN where it never falls so far.

    Args:
        error: Relative errors with a dimension `step`, such as a run's `frequency_error`.
        threshold: Positive. Default 0.5: half of the amplitude is there.

    Raises:
        ValueError: If there are no steps, or the threshold is not positive.

    Example:
        >>> error = xr.DataArray(
        ...     [[1.0, 1.0], [0.4, 0.9], [0.1, 0.8]],
        ...     dims=("step", "frequency"),
        ...     coords={"step": [0, 60, 120], "frequency": [1, 10]},
        ... )
        >>> time_to_learn(error).values
        array([50., nan])
    """
    if "step" not in error.dims:
        raise ValueError(f"`error` needs a dimension 'step', got {error.dims}.")
    if not threshold > 0:
        raise ValueError(f"`threshold` must be positive, got {threshold}.")
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
    last = below[0]
    if last == 0:
        return steps[0]
    fraction = (series[last - 1] - threshold) / (series[last - 1] - series[last])
    return steps[last - 1] + fraction * (steps[last] - steps[last - 1])


def _rows(values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ValueError(f"A spectrum needs two values or more, got shape {array.shape}.")
    return array


def _coefficients(rows: np.ndarray) -> np.ndarray:
    points = rows.shape[-1]
    coefficients = 2 * np.fft.rfft(rows, axis=-1) / points
    coefficients[..., 0] /= 2
    if points % 2 == 0:
        coefficients[..., -1] /= 2
    return coefficients


def _energy(rows: np.ndarray) -> np.ndarray:
    """|c_k|² for 1 ≤ k < N/2."""
    return abs(_coefficients(rows)[..., 1 : (rows.shape[-1] + 1) // 2]) ** 2


def _resolved(frequencies: ArrayLike, points: int) -> np.ndarray:
    k = np.asarray(frequencies)
    if k.size and (np.any(k != np.round(k)) or np.any(k < 0)):
        raise ValueError(f"Wave numbers are whole and 0 or more, got {k}.")
    if k.size and k.max() > points / 2:
        raise ValueError(
            f"{points} points resolve wave numbers up to {points / 2:g}, their Nyquist limit, "
            f"got {k.max():g}: take more points or lower wave numbers."
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
            "The target carries nothing at the frequencies in places "
            f"{np.flatnonzero(empty).tolist()}, so nothing can be relative to it there: leave "
            "them out."
        )
    return coefficients, target
