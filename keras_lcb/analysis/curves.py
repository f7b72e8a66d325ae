"""Reads numbers from the curve of each layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr


def per_layer(
    measure: Callable[[np.ndarray, np.ndarray], float],
    curves: xr.DataArray,
    name: str,
    long_name: str,
    units: str,
) -> xr.DataArray:
    """Applies a function to the curve of each layer along training.

    Args:
        measure: A function of the steps and the finite values of one curve. Values may be missing
            at steps at which only other callbacks took a record.
        curves: Values along `step` and other dimensions.
        name: The name of the result.
        long_name: A description of the result.
        units: The units of the result.

    Returns:
        The results over the other dimensions; NaN for a curve without finite values.

    Example:
        >>> curves = xr.DataArray(
        ...     [[1.0, 2.0], [float("nan"), 5.0]], {"layer": ["a", "b"], "step": [0, 10]}
        ... )
        >>> per_layer(lambda steps, values: values.max(), curves, "top", "maximum", "1").values
        array([2., 5.])
    """
    steps = curves["step"].values.astype(float)

    def measured(values: np.ndarray) -> float:
        there = np.isfinite(values)
        return measure(steps[there], values[there]) if there.any() else np.nan

    result = xr.apply_ufunc(
        measured,
        curves,
        input_core_dims=[["step"]],
        vectorize=True,
        output_dtypes=[float],
        keep_attrs=False,
    )
    return result.rename(name).assign_attrs(long_name=long_name, units=units)


def first_and_last(curves: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Returns the values at the first and the last record at which any layer has a value.

    A run that several callbacks recorded may have more steps than this, and so may each of several
    runs that are stacked along `seed`. The records of each seed are found by themselves.

    Args:
        curves: Values along `step`, `layer` and optionally `seed`, with at least one step.

    Example:
        >>> values = [[float("nan"), 3.0, 2.0], [4.0, 1.0, float("nan")]]
        >>> curves = xr.DataArray(
        ...     [values], {"layer": ["a"], "seed": [0, 1], "step": [0, 10, 20]}
        ... )
        >>> first, last = first_and_last(curves)
        >>> first.values[0], last.values[0]
        (array([3., 4.]), array([2., 1.]))
    """
    recorded = curves.notnull().any("layer")
    first = recorded.argmax("step")
    last = recorded.sizes["step"] - 1 - recorded.isel(step=slice(None, None, -1)).argmax("step")
    at_first, at_last = (curves.isel(step=place).reset_coords(drop=True) for place in (first, last))
    return at_first, at_last
