"""Records of a run, and runs stacked over seeds."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def record_at(run: xr.Dataset, step: int | None) -> xr.Dataset:
    """Returns the record nearest to an update; the last one for `None`.

    Raises:
        ValueError: If `step` is no number.
    """
    if step is not None and not isinstance(step, numbers.Real):
        raise ValueError(f"`step` must be a number of updates, such as 500; received {step!r}.")
    return run.isel(step=-1) if step is None else run.sel(step=step, method="nearest")


def first_nonfinite_update(run: xr.Dataset) -> int | None:
    """Returns the first update with NaN or infinity; `None` if there is none."""
    first = int(run.attrs.get("first_nonfinite_update", -1))
    return first if first >= 0 else None


def over_seeds(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Returns minimum, mean and maximum over seeds; without seeds, the values three times.

    Where seeds have different records, each is interpolated linearly within its own first and last
    record. The others have a value only where all seeds have one. A seed without any value is left
    out.
    """
    if "seed" not in values.dims:
        return values, values, values
    if "step" in values.dims:
        values = _within_records(values)
        own = values.notnull()
        shared = (own.any("step") <= own).all("seed")
        values = values.where(shared)
    return values.min("seed"), values.mean("seed"), values.max("seed")


def last_record(values: xr.DataArray) -> xr.DataArray:
    """Returns the last record that has a value: of seeds, their mean where all seeds have one."""
    mean = over_seeds(values)[1]
    known = np.flatnonzero(mean.notnull().any([dim for dim in mean.dims if dim != "step"]))
    return mean.isel(step=known[-1] if known.size else -1)


def _within_records(values: xr.DataArray) -> xr.DataArray:
    """Interpolates values at all steps between the first and the last known value."""
    steps, axis = values["step"].values, values.get_axis_num("step")
    filled = np.apply_along_axis(_interpolated, axis, values.values.astype(float), steps)
    return values.copy(data=filled)


def _interpolated(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return np.full(len(values), np.nan)
    known = known[np.argsort(steps[known], kind="stable")]
    return np.interp(steps, steps[known], values[known], left=np.nan, right=np.nan)
