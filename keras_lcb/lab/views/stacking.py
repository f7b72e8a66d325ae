"""Runs over several seeds as one run."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from keras_lcb.analysis.records import first_nonfinite_update


def stacked(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """Returns one run: the only one, or those that are alike, stacked along `seed`.

    A training that diverged has no end to measure to, and one that was stopped has another end than
    those that were not. A mean with them would mean nothing, so they are left out.
    """
    kept = _alike(runs)
    if len(kept) == 1:
        return kept[0]
    return xr.concat(
        [run.drop_vars("wall_time") for run in kept],
        xr.IndexVariable("seed", [run.attrs["seed"] for run in kept]),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def left_out(runs: Sequence[xr.Dataset]) -> str:
    """Returns which runs `stacked` leaves out, and why, in a sentence; "" if it leaves out none."""
    kept = [run.attrs["seed"] for run in _alike(runs)]
    others = [_why(run) for run in runs if run.attrs["seed"] not in kept]
    return f"Left out: {'; '.join(others)}." if others else ""


def _alike(runs: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Returns the runs that did not diverge, if there are any, and of them the longest."""
    finite = [run for run in runs if first_nonfinite_update(run) is None] or list(runs)
    records = max(run.sizes["step"] for run in finite)
    return [run for run in finite if run.sizes["step"] == records]


def _why(run: xr.Dataset) -> str:
    first = first_nonfinite_update(run)
    if first is not None:
        return f"seed {run.attrs['seed']}, which diverged at update {first:,}"
    return f"seed {run.attrs['seed']}, which ended at update {int(run['step'][-1]):,}"
