"""The layer convergence bias of one network: from its runs to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import xarray as xr

from keras_lcb.analysis.compared import (
    OTHER_SHAPE,
    compared_layers,
    equal_layers,
    has_diverged,
    single_runs,
)
from keras_lcb.analysis.convergence import (
    area_under_distance,
    normalized_distance,
    time_to_fraction,
)
from keras_lcb.analysis.remaining import DISTANCE, other_measures, remaining
from keras_lcb.analysis.time_ratio import time_ratio
from keras_lcb.analysis.verdict import BOUNDS, ConvergenceBias, judged
from keras_lcb.runs import schema


def convergence_bias(
    runs: xr.Dataset | Sequence[xr.Dataset],
    until: float | None = None,
    *,
    roles: Collection[str] | None = ("hidden",),
    bounds: tuple[float, float] = BOUNDS,
) -> ConvergenceBias:
    """Tell whether shallower layers converge faster than deeper ones, and by how much.

    One run proves little, and there is no verdict on fewer than five: train several with different
    seeds, and pass them together. A verdict is about the network, data and optimizer that they
    share. For several such settings, `corrected` holds the errors of all verdicts together down.

    Args:
        runs: A run, runs stacked along `seed`, or a list of runs of one network.
        until: Look at no later update than this, while distances remain those to the endpoint,
            which then lies beyond. So the last part of training, in which each layer arrives at
            its own last weights by construction, has no say. `None` looks at the whole run.
        roles: Which layers to compare. By default the hidden ones only: the head is pulled by
            the loss directly, and normalisation and embedding layers move at a pace of their own.
            `None` compares all. Of these, layers of equal shape are compared, where three are.
        bounds: Between which a ratio counts as none, for the verdict "equivalent".

    Returns:
        The size of the effect, correlations and a verdict; see the module for the rule.

    Raises:
        ValueError: If there is no run, the runs have different layers or no distances, `until` is
            not within the record, or the bounds are not around 1.

    Example:
        >>> steps = np.arange(0, 101, 5)
        >>> def run(seed):
        ...     rates = [0.2, 0.1, 0.05] * np.random.default_rng(seed).lognormal(0, 0.2, 3)
        ...     distance = np.exp(-np.outer(steps, rates))
        ...     over = ("step", "layer")
        ...     layers = ["first", "second", "third"]
        ...     return xr.Dataset({"distance": (over, distance)}, {"step": steps, "layer": layers})
        >>> found = convergence_bias([run(seed) for seed in range(5)])
        >>> print(found.verdict, found.ratio)
        shallower faster 3.31 [2.52, 4.35]
    """
    if not 0 < bounds[0] < 1 < bounds[1]:
        raise ValueError(f"The bounds have to lie below and above 1; received {bounds}.")
    given = single_runs(runs)
    layers, left_out = compared_layers(given, roles)
    equal, which = equal_layers(given[0], layers)
    other = {name: OTHER_SHAPE for name in layers if name not in equal}
    used, notes = _usable(given)
    curves = [remaining(run, DISTANCE, until) for run in used]
    beside = {
        words: time_ratio(_times([remaining(run, name, until) for run in used], equal))
        for name, words in _WORDS.items()
        if used and all(name in other_measures(run) for run in used)
    }
    if len(equal) < len(layers):
        beside["over layers of all shapes"] = time_ratio(_times(curves, layers))
    times = _times(curves, equal)
    trend = "read from a trend over" if len(equal) > 1 else "over"
    notes = [f"Ratios are {trend} {len(equal)} layers {which}.", *notes, *_grouping(given[0])]
    if until is not None:
        notes.append(f"Looked at up to update {until:g}, with an endpoint beyond it.")
    return judged(
        times,
        _values(area_under_distance, curves, equal),
        tuple(equal),
        bounds,
        beside=beside,
        never_half=tuple(np.array(equal)[np.isinf(times).any(axis=0)].tolist()),
        left_out=other | left_out,
        notes=tuple([*notes, *_coarse(curves, times)]),
    )


_WORDS = {
    "angle_to_end": "by the angle to the end",
    "way_from_start": "by the way from the start",
    "similarity": "by the similarity to the final activations",
}


def _usable(runs: Sequence[xr.Dataset]) -> tuple[list[xr.Dataset], list[str]]:
    """Leave out runs that diverged, and copies, which say nothing new; and say so."""
    finite = [run for run in runs if not has_diverged(run)]
    distances = [normalized_distance(run).values for run in finite]
    kept = [
        run
        for place, run in enumerate(finite)
        if not any(
            np.array_equal(distances[place], other, equal_nan=True) for other in distances[:place]
        )
    ]
    diverged, copies = len(runs) - len(finite), len(finite) - len(kept)
    notes = [f"Diverged and not counted: {diverged} of {len(runs)} runs."] if diverged else []
    if copies:
        notes.append(
            f"Not counted: {copies} of {len(runs)} runs, whose distances are the same as another "
            "run's. Train with different seeds."
        )
    return kept, notes


def _times(curves: Sequence[xr.Dataset], layers: Sequence[str]) -> np.ndarray:
    """Times to half (runs, layers); infinite for a layer that never came half the way."""
    times = _values(time_to_fraction, curves, layers)
    moved = _values(lambda run: run["normalized_distance"].notnull().any("step"), curves, layers)
    return np.where(np.isnan(times) & (moved > 0), np.inf, times)


def _values(
    measure: Callable[[xr.Dataset], xr.DataArray],
    curves: Sequence[xr.Dataset],
    layers: Sequence[str],
) -> np.ndarray:
    found = [measure(run).sel(layer=list(layers)).values.astype(float) for run in curves]
    return np.array(found).reshape(len(curves), len(layers))


def _grouping(run: xr.Dataset) -> list[str]:
    """What it changes that the rows of a run are groups of layers."""
    asked = schema.settings(run).get("LayerConvergence", {}).get("layers")
    kinds = run["kind"].values.tolist() if "kind" in run.coords else []
    if asked != "blocks" and not any("+" in str(kind) for kind in kinds):
        return []
    return [
        "What is compared are groups of layers: the distance of a group is that of all its "
        "parameters together, so that its largest layers decide, and that normalisation counts "
        "where it is within. Single layers may give another verdict."
    ]


def _coarse(curves: Sequence[xr.Dataset], times: np.ndarray) -> list[str]:
    """Whether times lie before the first record after the start."""
    for run, own in zip(curves, times, strict=True):
        steps = run["step"].values[run["normalized_distance"].notnull().any("layer").values]
        if len(steps) > 1 and (own < steps[1]).any():
            return [
                "Some layers came half the way before the first record after the start, which "
                "blurs their times: record more often (every=…)."
            ]
    return []
