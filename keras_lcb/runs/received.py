"""The error of functions that take a run, if they receive something else."""

from __future__ import annotations

import os
from typing import Any


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
