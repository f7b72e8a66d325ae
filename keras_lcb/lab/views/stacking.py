"""Runs over several seeds as one run."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr


def stacked(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """Returns one run: the only one, or several stacked along `seed`, up to their shortest."""
    if len(runs) == 1:
        return runs[0]
    records = min(run.sizes["step"] for run in runs)
    return xr.concat(
        [run.isel(step=slice(records)).drop_vars("wall_time") for run in runs],
        xr.IndexVariable("seed", [run.attrs["seed"] for run in runs]),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
