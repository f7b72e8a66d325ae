"""The error of functions that take a run, if they receive something else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def check_run(received: Any) -> None:
    """Checks that something is a run, as far as its type tells.

    Raises:
        ValueError: If it is no `xarray.Dataset`; it says how to get one from what was received.

    Example:
        >>> check_run("run.nc")
        Traceback (most recent call last):
            ...
        ValueError: Expected a run, but received the text 'run.nc'. Load a file with `load_run`.
    """
    import xarray as xr

    if isinstance(received, xr.Dataset):
        return
    what, advice = (
        type(received).__name__,
        "Pass a callback's `results`, or what `collect` returned.",
    )
    if isinstance(received, str | os.PathLike):
        kind = "text" if isinstance(received, str) else "path"
        what, advice = f"the {kind} '{os.fspath(received)}'", "Load a file with `load_run`."
    elif hasattr(type(received), "results"):
        what, advice = f"the callback {what}", "Pass its `results`."
    raise ValueError(f"Expected a run, but received {what}. {advice}")


def check_dimensions(run: xr.Dataset, *names: str) -> None:
    """Checks that a run still has its dimensions, of which selecting a single value takes one.

    Raises:
        ValueError: If one of them is a coordinate of the run, but no dimension.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset({"loss": ("step", [1.0, 0.5])}, {"step": [0, 10]})
        >>> check_dimensions(run.isel(step=1), "step")
        Traceback (most recent call last):
            ...
        ValueError: The run has no dimension `step`, only a single value. Select with a list: ...
    """
    for name in names:
        if name in run.coords and name not in run.dims:
            raise ValueError(
                f"The run has no dimension `{name}`, only a single value. Select with a list: "
                f"`run.isel({name}=[0])`."
            )


def in_order(run: xr.Dataset) -> xr.Dataset:
    """Returns a run with its records in the order of training, in memory.

    Raises:
        ValueError: If `received` is no run, an update has several records, or `step` or `layer` is
            no dimension.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[1.0], [4.0]])},
        ...     {"step": [10, 0], "layer": ["dense"]},
        ... )
        >>> in_order(run).step.values
        array([ 0, 10])
    """
    check_run(run)
    check_dimensions(run, "step", "layer")
    if "step" in run.coords:
        steps, counts = np.unique(run["step"].values, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"Update {steps[counts > 1][0]} has several records in the run. Keep one of them: "
                "`run.drop_duplicates('step')`."
            )
        if not np.array_equal(steps, run["step"].values):
            run = run.sortby("step")
    return run.compute() if run.chunks else run
