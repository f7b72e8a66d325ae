"""Finds the runs that learned something. In the others, no layer can have learned first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import xarray as xr

from keras_lcb.experiments.finding import Finding, finding
from keras_lcb.experiments.scale import Scale

LEFT = 0.9  # of the loss at the start: a run that keeps as much of it learned nothing
NOTHING = f"learned nothing (the loss fell by less than {100 * (1 - LEFT):.0f} %)"


def learned(runs: xr.Dataset) -> np.ndarray:
    """Tells of each run whether it learned something.

    Its training loss at the end has to be below 0.9 times the one in its first record, which is the
    mean over the first updates. A network that falls no further gives all samples about the same
    answer. Where no loss was recorded along training, nothing speaks against a run; neither does a
    loss that is NaN, since training that diverged is another matter.

    Args:
        runs: Runs stacked along `seed`.

    Returns:
        Booleans (seed,).

    Example:
        >>> losses = xr.DataArray([[np.nan, 2.3, 2.2], [np.nan, 2.3, 0.1]], dims=("seed", "step"))
        >>> learned(losses.to_dataset(name="loss")).tolist()
        [False, True]
    """
    everyone = np.full(runs.sizes["seed"], True)
    if "loss" not in runs:
        return everyone
    known = runs["loss"].dropna("step", how="all").transpose("seed", "step").values
    return ~(known[:, -1] >= LEFT * known[:, 0]) if known.shape[1] > 1 else everyone


def of_learned(measure: Callable[[xr.Dataset], Finding], runs: xr.Dataset, scale: Scale) -> Finding:
    """Returns what is measured of those runs that learned something.

    Args:
        measure: What is measured.
        runs: Runs stacked along `seed`.
        scale: Of the effect, for a finding without any run.
    """
    kept = learned(runs)
    if kept.all():
        return measure(runs)
    said = f"{(~kept).sum()} of {len(kept)} runs {NOTHING}"
    if not kept.any():
        return finding([], (), scale, lacking=said)
    found = measure(runs.isel(seed=np.flatnonzero(kept)))
    lacking = found.lacking and f"{said}; {found.lacking}"
    return dataclasses.replace(found, lacking=lacking)
