"""A run as a table, with a row for each layer."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import xarray as xr

from keras_lcb.analysis.compared import single_runs, without_distance
from keras_lcb.analysis.convergence import area_under_distance, time_to_fraction
from keras_lcb.analysis.curves import per_layer
from keras_lcb.analysis.gradients import rms_over_run
from keras_lcb.analysis.layer_table import LayerTable
from keras_lcb.analysis.remaining import other_measures, remaining
from keras_lcb.analysis.similarity import time_to_similarity
from keras_lcb.runs.received import in_order

_FACTS = ("depth", "kind", "role", "parameters")


def summary(run: xr.Dataset) -> pd.DataFrame:
    """Returns a table of what a run holds about each layer.

    Args:
        run: A run, or runs stacked along `seed`.

    Returns:
        A table with one row for each layer, in the order of depth. It has those of these columns
        for which the run holds values:

        - `depth`, `kind`, `role`, `parameters`;
        - `time_to_half` (updates) and `area` of the normalized distance. If layers have no
          distance, `no_distance` says why: "never moved", "not finite" (training diverged), or
          "no distance recorded";
        - `time_to_half_angle_to_end`, `…_way_from_start` and `…_similarity`: the time to half
          (updates) by these other measures;
        - `time_to_similarity`: updates until the similarity of activations to the final ones is
          0.9;
        - `angle`: 1 − cosine between the kernels at the start and at the end;
        - `gradient_norm`, `update_norm`: root mean squares over the run; `gradient_norm_final`,
          `update_norm_final`: the values of the last record;
        - `update_ratio`: the root mean square over the run of the update norm divided by the
          norm of the parameters;
        - all other quantities of layers, under their own names, with their last values.

        For stacked runs, each column is the mean over seeds, and a column `…_std` holds the
        standard deviation over seeds. Both are NaN if a seed has no value.

        When the table of a single run is printed, the findings of `lcb.diagnose` follow below it.
        They are also in `attrs["findings"]`.

    Raises:
        ValueError: If the run holds no layers.

    Example:
        >>> import xarray as xr
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), [[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]])},
        ...     {"step": [0, 12, 24], "layer": ["first", "second"], "depth": ("layer", [0, 1])},
        ... )
        >>> summary(run)
                depth  time_to_half   area
        layer
        first       0           8.0  0.375
        second      1          16.0  0.625
    """
    run = in_order(run)
    if "layer" not in run.coords:
        raise ValueError("The run holds no layers to summarise. Pass what `collect` returned.")
    layers = run["layer"].values.astype(object)
    table = pd.DataFrame(index=pd.Index(layers, name="layer"))
    for fact in _FACTS:
        if fact in run.coords:
            values = run[fact]
            table[fact] = (values.isel(seed=0) if "seed" in values.dims else values).values
    for name, values in _measures(run).items():
        if "seed" in values.dims:
            table[name] = values.mean("seed", skipna=False).values
            table[f"{name}_std"] = values.std("seed", ddof=1, skipna=False).values
        else:
            table[name] = values.values
    reasons = _without_distance(run)
    if reasons:
        table["no_distance"] = [reasons.get(name, "") for name in layers]
    sorted_table = LayerTable(table.sort_values("depth") if "depth" in table else table)
    sorted_table.attrs["findings"] = _findings(run)
    return sorted_table


def _findings(run: xr.Dataset) -> list[str]:
    """Returns what `lcb.diagnose` finds, in short; nothing for runs stacked along `seed`."""
    from keras_lcb.diagnosis import diagnose

    if "seed" in run.dims or "step" not in run.dims:
        return []
    return [finding.in_short for finding in diagnose(run)]


def _without_distance(run: xr.Dataset) -> dict[str, str]:
    """Returns why layers have no distance; for stacked runs, also in how many of them."""
    if "distance" not in run and "normalized_distance" not in run:
        return {}
    runs = single_runs(run)
    counted = Counter(reason for one in runs for reason in without_distance(one).items())
    told: dict[str, list[str]] = {}
    for (layer, why), count in counted.items():
        share = "" if count == len(runs) else f" in {count} of {len(runs)} seeds"
        told.setdefault(layer, []).append(f"{why}{share}")
    return {layer: ", ".join(reasons) for layer, reasons in told.items()}


def _measures(run: xr.Dataset) -> dict[str, xr.DataArray]:
    measures: dict[str, xr.DataArray] = {}
    if "distance" in run or "normalized_distance" in run:
        measures["time_to_half"] = time_to_fraction(run)
        measures["area"] = area_under_distance(run)
    for name in other_measures(run):
        measures[f"time_to_half_{name}"] = time_to_fraction(remaining(run, name))
    if "similarity" in run:
        measures["time_to_similarity"] = time_to_similarity(run)
    if "angle" in run:
        measures["angle"] = _last(run["angle"])
    for name in ("gradient_norm", "update_norm"):
        if name in run:
            measures[name] = rms_over_run(run, name)
            measures[f"{name}_final"] = _last(run[name])
    if "update_norm" in run and "parameter_norm" in run:
        # Where callbacks record at different steps, norms of weights lie between two records.
        weights = run["parameter_norm"].interpolate_na("step", fill_value="extrapolate")
        ratio = run.assign(update_norm=run["update_norm"] / weights)
        measures["update_ratio"] = rms_over_run(ratio, "update_norm")
    told = {"distance", "normalized_distance", "distance_standard_error", "parameter_norm"}
    told |= {*other_measures(run), "similarity"}  # their last values are 0 or 1 for every layer
    for name in map(str, run.data_vars):
        dims = set(run[name].dims) - {"seed"}
        if name not in told | set(measures) and dims in ({"layer"}, {"step", "layer"}):
            measures[name] = _last(run[name]) if "step" in dims else run[name]
    return measures


def _last(curves: xr.DataArray) -> xr.DataArray:
    def last(steps: np.ndarray, values: np.ndarray) -> float:
        return values[-1]

    return per_layer(last, curves, str(curves.name), "at the end", "1")
