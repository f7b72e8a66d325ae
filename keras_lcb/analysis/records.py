"""Records of a run, and runs stacked over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def record_at(run: xr.Dataset, step: int | None) -> xr.Dataset:
    """Returns the record nearest to an update; the last one for `None`."""
    return run.isel(step=-1) if step is None else run.sel(step=step, method="nearest")


def first_nonfinite_update(run: xr.Dataset) -> int | None:
    """Returns the first update with NaN or infinity; `None` if there is none."""
    first = int(run.attrs.get("first_nonfinite_update", -1))
    return first if first >= 0 else None


def over_seeds(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Returns minimum, mean and maximum over seeds; without seeds, the values three times."""
    if "seed" not in values.dims:
        return values, values, values
    return values.min("seed"), values.mean("seed"), values.max("seed")
