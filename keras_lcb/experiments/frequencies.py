"""Which frequencies the layers of one-dimensional networks carry, as findings."""

from __future__ import annotations

import numpy as np
import xarray as xr

from keras_lcb.analysis import Estimate, rank_correlation
from keras_lcb.experiments.finding import Finding, finding, order_finding
from keras_lcb.experiments.scale import CORRELATION
from keras_lcb.synthetic import share_centroid, time_to_learn

LEARNED = 0.5  # error at a frequency below which it counts as learned


def by_depth(runs: xr.Dataset) -> Finding:
    """Correlates depth with the mean wave number that a layer carries at the end of training.

    It is the mean of the target's wave numbers that are learned: of residual networks, weighted by
    the layer's shares; of plain ones, which have no such parts, by how well its features carry
    each (R²). Beside it stands, for residual networks, the centroid of all energy, leakage
    included.
    """
    runs = _finite(runs)
    last = runs.isel(step=-1)
    beside = {}
    if "frequency_centroid" in runs:
        beside["energy"] = _spearman(last["frequency_centroid"])
    return _order(mean_wave_number(runs, -1), runs, beside)


def by_depth_untrained(runs: xr.Dataset) -> Finding:
    """Correlates as `by_depth` does, before the first update, over the same wave numbers."""
    runs = _finite(runs)
    return _order(mean_wave_number(runs, 0), runs, {})


def low_first(runs: xr.Dataset) -> Finding:
    """Correlates wave number with the time to learn it; what is never learned comes last."""
    runs = _finite(runs)
    times = time_to_learn(runs["frequency_error"], LEARNED).transpose("seed", "frequency")
    k = runs["frequency"].values.astype(float)
    return order_finding(
        k, times.fillna(np.inf).values, runs["seed"].values.tolist(), loss=_loss(runs)
    )


def mean_wave_number(runs: xr.Dataset, record: int) -> xr.DataArray:
    """Returns the mean wave number of each layer in a record, over those learned in the end."""
    error = runs["frequency_error"].isel(step=-1)
    if "frequency_share" in runs:
        return share_centroid(runs["frequency_share"].isel(step=record), error, threshold=LEARNED)
    carried = runs["r2"].isel(step=record)
    weight = carried.clip(min=0).where(error < LEARNED, 0)
    known = carried.notnull().any("frequency") & ((error < LEARNED).sum("frequency") >= 2)
    mean = (weight * runs["frequency"]).sum("frequency") / weight.sum("frequency")
    return mean.where(known)


def _order(means: xr.DataArray, runs: xr.Dataset, beside: dict[str, Estimate]) -> Finding:
    values = means.transpose("seed", "layer").sortby("depth")
    # Layers that have no part in the sum, such as a head, are NaN throughout.
    values = values.isel(layer=np.flatnonzero(values.notnull().any("seed").values))
    if not values.sizes["layer"]:
        seeds = runs["seed"].values.tolist()
        return finding([np.nan] * len(seeds), seeds, CORRELATION, loss=_loss(runs))
    depth = values["depth"].values.astype(float)
    seeds = runs["seed"].values.tolist()
    return order_finding(depth, values.values, seeds, beside=beside, loss=_loss(runs))


def _spearman(values: xr.DataArray) -> Estimate:
    depth = values["depth"].values.astype(float)
    pairs = [(depth, own) for own in values.transpose("seed", "layer").values]
    return Estimate(rank_correlation(pairs).spearman_of_runs)


def _finite(runs: xr.Dataset) -> xr.Dataset:
    """Runs that did not diverge."""
    finite = runs["frequency_error"].isel(step=-1).notnull().all("frequency").values
    return runs.isel(seed=np.flatnonzero(finite))


def _loss(runs: xr.Dataset) -> Estimate:
    return Estimate(tuple(runs["loss"].isel(step=-1).values.tolist()))
