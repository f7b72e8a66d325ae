"""From the runs of one setting to a finding: what sections measure."""

from __future__ import annotations

import dataclasses

import numpy as np
import xarray as xr

from keras_lcb.analysis import (
    ConvergenceBias,
    Estimate,
    convergence_bias,
    convergence_rate,
    rank_correlation,
    rms_over_run,
    time_ratio,
    time_to_fraction,
)
from keras_lcb.analysis.compared import compared_layers, has_diverged, single_runs
from keras_lcb.analysis.comparison import Comparison, equal_layers
from keras_lcb.analysis.remaining import remaining
from keras_lcb.experiments.engines.freezing import COST
from keras_lcb.experiments.engines.midway import DISTANCE_TO_MIDWAY
from keras_lcb.experiments.finding import Finding, bias_finding, finding
from keras_lcb.experiments.scale import CORRELATION, RATIO
from keras_lcb.runs.block_names import block_name

_MEASURES = {
    "angle_to_end": "angle",
    "way_from_start": "way",
    "similarity": "CKA",
}


def converged(runs: xr.Dataset) -> xr.Dataset:
    """Returns stacked runs without those that diverged."""
    finite = [not has_diverged(run) for run in single_runs(runs)]
    return runs.isel(seed=np.flatnonzero(finite))


def half_way(runs: xr.Dataset) -> float:
    """Returns T where runs end at 2T: up to there they are looked at."""
    return float(runs["step"].values[-1]) / 2


def loss_at(runs: xr.Dataset, update: float) -> Estimate:
    """Returns each run's training loss in the record at an update."""
    return Estimate(tuple(runs["loss"].sel(step=update, method="nearest").values.tolist()))


def time_to_half(runs: xr.Dataset) -> Finding:
    """Compares layers' times to half the distance, up to T, to an endpoint at 2T.

    The tests are those of `convergence_bias`. A layer that has not come half the way by T counts
    in the size of the effect as if it had come so far at T, which makes it smaller than it is.
    Where no layer of any run has come so far, there is no effect to tell.

    Beside it stand the angle to the end, the way from the start, the similarity of activations to
    the final ones, all layers instead of those of equal shape, and the endpoint at T.
    """
    runs = converged(runs)
    if not runs.sizes["seed"]:
        return finding([], (), RATIO, lacking="every run diverged")
    until = half_way(runs)
    bias = convergence_bias(runs, until)
    hidden, equal = _hidden(runs)
    beside = {
        words: _logs(runs, name, equal, until) for name, words in _MEASURES.items() if name in runs
    }
    if len(set(equal.groups)) > 1 or len(hidden) > len(equal.layers):
        beside["all shapes"] = _logs(runs, "distance", Comparison.of_all(hidden), until)
    if DISTANCE_TO_MIDWAY in runs:
        early = runs[[DISTANCE_TO_MIDWAY]].sel(step=slice(0, until))
        own_end = early.rename({DISTANCE_TO_MIDWAY: "distance"})
        beside["end at T"] = _logs(own_end, "distance", equal, None)
    return _of_bias(bias, equal, runs, beside)


def _hidden(runs: xr.Dataset) -> tuple[list[str], Comparison]:
    """Returns all hidden layers, and those to compare."""
    single = single_runs(runs)
    hidden, _ = compared_layers(single, ("hidden",))
    return hidden, equal_layers(single[0], hidden)


def _of_bias(
    bias: ConvergenceBias, equal: Comparison, runs: xr.Dataset, beside: dict[str, Estimate]
) -> Finding:
    until = half_way(runs)
    seeds = runs["seed"].values.tolist()
    effect = _logs(runs, "distance", equal, until)
    found = bias_finding(bias, seeds, effect=effect, beside=beside, loss=loss_at(runs, until))
    # Where some layer is not half the way by T, the tests of `convergence_bias` are of ranks only.
    p_effect = effect.p_differs()
    p_order = 1.0 if np.isnan(p_effect) else max(found.p_order, p_effect)
    return dataclasses.replace(found, p_order=p_order)


def _logs(runs: xr.Dataset, measure: str, compared: Comparison, until: float | None) -> Estimate:
    """Each run's log ratio of times to half, last to first layer; at most `until`."""
    times, any_reached = [], False
    for run in single_runs(runs):
        left = remaining(run, measure, until).sel(layer=list(compared.layers))
        moved = left["normalized_distance"].notnull().any("step")
        end = float(left["step"].values[-1])
        reached = time_to_fraction(left)
        any_reached |= bool(reached.notnull().any())
        times.append(reached.fillna(end).where(moved).values)
    known = np.array(times) if any_reached else np.full_like(times, np.nan)
    return time_ratio(known, compared).logs


def time_to_half_of_blocks(runs: xr.Dataset) -> Finding:
    """Compares as `time_to_half` does, each block with its normalization as one.

    Blocks are compared with those whose kernels have the same shapes. So the layers before the
    blocks, which resemble none, are left out; beside it stand all blocks, these included.
    """
    runs = converged(runs)
    if not runs.sizes["seed"]:
        return finding([], (), RATIO, lacking="every run diverged")
    blocks = by_block(runs).assign(loss=runs["loss"])
    until = half_way(blocks)
    every, equal = _hidden(blocks)
    beside = {"all blocks": _logs(blocks, "distance", Comparison.of_all(every), until)}
    return _of_bias(convergence_bias(blocks, until), equal, blocks, beside)


def by_block(runs: xr.Dataset) -> xr.Dataset:
    """Returns the distances of blocks: ‖θ − θ*‖ over all of a block's parameters together."""
    blocks = [block_name(str(name)) for name in runs["layer"].values]
    names = list(dict.fromkeys(blocks))
    members = [[place for place, own in enumerate(blocks) if own == name] for name in names]
    # A record that lacks a layer has no distance of its block.
    squares = [
        (runs["distance"].isel(layer=own) ** 2).sum("layer", skipna=False) for own in members
    ]
    distance = (xr.concat(squares, "layer") ** 0.5).assign_coords(layer=names)
    roles = ["head" if "head" in runs["role"].values[own] else "hidden" for own in members]
    shapes = [" ".join(sorted(runs["shape"].values[own])).strip() for own in members]
    grouped = distance.to_dataset(name="distance")
    return grouped.assign_coords(
        role=("layer", roles),
        shape=("layer", shapes),
        depth=("layer", np.arange(len(names))),
    ).assign_attrs(runs.attrs)


def cost_of_freezing(runs: xr.Dataset) -> Finding:
    """Correlates depth with the loss that freezing a layer costs, over layers of equal shape."""
    hidden = [
        str(n)
        for n, role in zip(runs["layer"].values, runs["role"].values, strict=True)
        if role == "hidden"
    ]
    equal = equal_layers(runs, hidden)
    of_equal = runs[COST].sel(layer=list(equal.layers)).transpose("seed", "layer")
    cost = of_equal - runs["loss"].isel(step=-1)
    finite = np.isfinite(cost.values).all(axis=1)
    seeds = runs["seed"].values[finite].tolist()
    loss = Estimate(tuple(runs["loss"].isel(step=-1).values[finite].tolist()))
    ranks = rank_correlation(
        [(np.array(equal.places), own) for own in cost.values[finite]], equal.groups
    )
    return finding(ranks.spearman_of_runs, seeds, CORRELATION, ranks=ranks, loss=loss)


def gradient_and_speed(runs: xr.Dataset) -> Finding:
    """Correlates the layers' gradient norms with their speeds, up to T, to an endpoint at 2T.

    Layers of equal shape are compared, so that norms need not be divided by sizes. The speed is
    1 / time to half the distance; beside it stand the rates of Definition 2.1 in parts of the
    training, with the gradient norms in these, and all hidden layers, norms per parameter.
    """
    runs = converged(runs)
    if not runs.sizes["seed"]:
        return finding([], (), CORRELATION, lacking="every run diverged")
    single = single_runs(runs)
    until = half_way(runs)
    hidden, compared = _hidden(runs)
    equal, groups = list(compared.layers), compared.groups
    seen = [run.sel(step=slice(0, until)) for run in single]
    whole = [(_norms(run.sel(layer=equal)), _speeds(run.sel(layer=equal))) for run in seen]
    ranks = rank_correlation(whole, groups)
    others = {
        "all shapes": rank_correlation(
            [(_norms(r), _speeds(r)) for r in (s.sel(layer=hidden) for s in seen)]
        )
    }
    for name, (start, stop) in PARTS.items():
        first, last = start * until, stop * until
        others[name] = rank_correlation(
            [
                (
                    _norms(run.sel(layer=equal, step=slice(first, last))),
                    convergence_rate(run.sel(layer=equal), first, last).values,
                )
                for run in single
            ],
            groups,
        )
    return finding(
        ranks.spearman_of_runs,
        runs["seed"].values.tolist(),
        CORRELATION,
        ranks=ranks,
        beside={name: Estimate(own.spearman_of_runs) for name, own in others.items()},
        loss=loss_at(runs, until),
    )


PARTS = {"early": (0.0, 0.1), "middle": (0.1, 0.5), "late": (0.5, 1.0)}  # of the updates up to T


def _norms(run: xr.Dataset) -> np.ndarray:
    """RMS gradient norms per parameter."""
    return rms_over_run(run, "gradient_norm").values / np.sqrt(run["parameters"].values)


def _speeds(run: xr.Dataset) -> np.ndarray:
    return 1.0 / time_to_fraction(run).fillna(np.inf).values
