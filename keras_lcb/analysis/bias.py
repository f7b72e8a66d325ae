"""The layer convergence bias of one network: from its runs to a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis.compared import (
    OTHER_SHAPE,
    compared_layers,
    single_runs,
    usable,
)
from keras_lcb.analysis.comparison import Comparison, equal_layers
from keras_lcb.analysis.convergence import (
    area_under_distance,
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
    """Finds out whether shallower layers converge faster than deeper ones, and by how much.

    A verdict needs at least five runs: train with different seeds, and pass all runs together. The
    verdict holds for the network, data and optimizer that these runs share. If you test several
    such settings, pass their verdicts to `corrected`, which corrects for the number of tests.

    Args:
        runs: A run, runs stacked along `seed`, or a list of runs of one network.
        until: The last update to look at. Distances are still measured to the final endpoint. This
            leaves out the last part of training, in which every layer necessarily arrives at its
            endpoint. Defaults to `None`: the whole run.
        roles: The roles of the layers to compare; `None` for all layers. If at least three of them
            have kernels of equal shape, each layer is compared with those of its shape only.
            `keras_lcb.analysis.comparison` describes the rule. Defaults to hidden layers: the head,
            normalization and embedding layers converge at other speeds for other reasons.
        bounds: The lower and upper bound of the ratios that count as no difference, for the
            verdict "equivalent". Defaults to (0.9, 1.11).

    Returns:
        The size of the effect, correlations and a verdict. `keras_lcb.analysis.verdict` describes
        the rule.

    Raises:
        ValueError: If there is no run, the runs have different layers or no distances, `until` is
            not within the run, or the bounds do not enclose 1.

    Example:
        >>> import numpy as np
        >>> import xarray as xr
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
    bounds = _around_1(bounds)
    until = None if until is None else _update(until)
    given = single_runs(runs)
    layers, left_out = compared_layers(given, roles)
    equal = equal_layers(given[0], layers)
    other = {name: OTHER_SHAPE for name in layers if name not in equal.layers}
    used, notes = usable(given)
    curves = [remaining(run, DISTANCE, until) for run in used]
    beside = {
        words: time_ratio(_times([remaining(run, name, until) for run in used], equal), equal)
        for name, words in _WORDS.items()
        if used and all(name in other_measures(run) for run in used)
    }
    every = Comparison.of_all(layers)
    if len(set(equal.groups)) > 1 or len(equal.layers) < len(layers):
        beside["over layers of all shapes"] = time_ratio(_times(curves, every))
    times = _times(curves, equal)
    trend = "read from a trend over" if len(equal.layers) > 1 else "over"
    notes = [
        f"Ratios are {trend} {len(equal.layers)} layers {equal.which}{_equally_deep(equal)}.",
        *notes,
        *_grouping(given[0]),
    ]
    if until is not None:
        notes.append(f"Only updates up to {until:g} are compared; the endpoint is the final one.")
    return judged(
        times,
        _values(area_under_distance, curves, equal.layers),
        equal,
        bounds,
        beside=beside,
        never_half=tuple(np.array(equal.layers)[np.isinf(times).any(axis=0)].tolist()),
        left_out=other | left_out,
        unseen=_unseen(curves, times, equal.layers),
        notes=tuple(notes),
    )


def _around_1(bounds: Any) -> tuple[float, float]:
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        low = high = math.nan
    if not 0 < low < 1 < high:
        raise ValueError(
            f"`bounds` must be a number between 0 and 1 and a number above 1; received {bounds!r}."
        )
    return low, high


def _update(until: Any) -> float:
    try:
        return float(until)  # also of an array with one number
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`until` must be a number of updates, such as 500, or None for the whole run; received "
            f"{until!r}."
        ) from error


_WORDS = {
    "angle_to_end": "by the angle to the end",
    "way_from_start": "by the way from the start",
    "similarity": "by the similarity to the final activations",
}


def _times(curves: Sequence[xr.Dataset], compared: Comparison) -> np.ndarray:
    """Returns times to half (runs, layers); infinite for a layer that never came half the way."""
    times = _values(time_to_fraction, curves, compared.layers)
    moved = _values(
        lambda run: run["normalized_distance"].notnull().any("step"), curves, compared.layers
    )
    return np.where(np.isnan(times) & (moved > 0), np.inf, times)


def _values(
    measure: Callable[[xr.Dataset], xr.DataArray],
    curves: Sequence[xr.Dataset],
    layers: Sequence[str],
) -> np.ndarray:
    found = [measure(run).sel(layer=list(layers)).values.astype(float) for run in curves]
    return np.array(found).reshape(len(curves), len(layers))


def _equally_deep(compared: Comparison) -> str:
    blocks = len(set(compared.places))
    return f" in {blocks} blocks" if blocks < len(compared.layers) else ""


def _grouping(run: xr.Dataset) -> list[str]:
    """Returns a note if the rows of a run are groups of layers."""
    asked = schema.settings(run).get("LayerConvergence", {}).get("layers")
    kinds = run["kind"].values.tolist() if "kind" in run.coords else []
    if asked != "blocks" and not any("+" in str(kind) for kind in kinds):
        return []
    return [
        "Groups of layers are compared. The distance of a group is that of all its parameters "
        "together, so its largest layers dominate, and its normalization layers count, too. "
        "Single layers may give another verdict."
    ]


def _unseen(
    curves: Sequence[xr.Dataset], times: np.ndarray, layers: Sequence[str]
) -> tuple[str, ...]:
    """Returns the layers that are half-way before the first record after the start in some run."""
    early = np.zeros(len(layers), bool)
    for run, own in zip(curves, times, strict=True):
        steps = run["step"].values[run["normalized_distance"].notnull().any("layer").values]
        early |= own < steps[1] if len(steps) > 1 else False
    return tuple(np.array(layers)[early].tolist())
