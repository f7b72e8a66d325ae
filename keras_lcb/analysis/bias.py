"""Whether shallow layers converge faster than deep ones: the layer convergence bias.

How the verdict is reached. Depth is correlated by rank with the time to half the distance and
with the area under the normalised distance; both are larger the slower a layer is. "Shallower
faster" needs both positive, "deeper faster" both negative, and neither by accident:

- over 5 runs or more, the 95 % bootstrap intervals of both mean Spearman correlations must leave
  out 0;
- with fewer runs, where such intervals are too narrow, both means must also reach 0.7 in size;
- one run has no interval, and its verdict describes that run only.

With fewer than 3 layers there is no order to speak of. Everything else is "no clear order".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.analysis.compared import compared_layers, single_runs
from keras_lcb.analysis.convergence import (
    area_under_distance,
    normalized_distance,
    time_to_fraction,
)
from keras_lcb.analysis.rank import RankCorrelation, rank_correlation

SHALLOWER_FASTER = "shallower faster"
DEEPER_FASTER = "deeper faster"
NO_CLEAR_ORDER = "no clear order"

_LAYERS_FOR_AN_ORDER = 3
_RUNS_FOR_AN_INTERVAL = 5
_STRONG = 0.7


@dataclass(frozen=True)
class ConvergenceBias:
    """What `convergence_bias` found; `str` gives it in words.

    Attributes:
        verdict: "shallower faster", "deeper faster" or "no clear order".
        reason: Why, in a few words.
        time_to_half: Rank correlation of depth with the time to half the distance.
        area: Rank correlation of depth with the area under the normalised distance.
        runs: How many runs were compared.
        layers: The layers compared, shallow first.
        left_out: Why each other layer was not: its role, or that it never moved.
        never_half: Layers that in some run did not reach half the distance; they count as slower
            than all that did.
    """

    verdict: str
    reason: str
    time_to_half: RankCorrelation
    area: RankCorrelation
    runs: int
    layers: tuple[str, ...]
    left_out: dict[str, str]
    never_half: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict, what it rests on, and what it does not show."""
        over = "in this one run" if self.runs == 1 else f"over {self.runs} runs"
        sentences = [f"{self.verdict.capitalize()} {over}: {self.reason}."]
        if np.isfinite(self.time_to_half.spearman) or np.isfinite(self.area.spearman):
            sentences.append(
                f"Rank correlation of depth over {len(self.layers)} layers (Spearman): with time "
                f"to half the distance {self.time_to_half}, with area under it {self.area}."
            )
        if self.runs == 1:
            sentences.append(_one_run(self.time_to_half.chance))
        if self.never_half:
            sentences.append(
                f"Never came half the way, counted as slowest: {', '.join(self.never_half)}."
            )
        if self.left_out:
            listed = ", ".join(f"{name} ({why})" for name, why in self.left_out.items())
            sentences.append(f"Left out: {listed}.")
        return " ".join(sentences)


def convergence_bias(
    runs: xr.Dataset | Sequence[xr.Dataset],
    *,
    roles: Collection[str] | None = ("hidden",),
    resamples: int = 2000,
    seed: int = 0,
) -> ConvergenceBias:
    """Tell whether shallower layers converge faster than deeper ones.

    One run proves little: train several with different seeds, and pass them together.

    Args:
        runs: A run, runs stacked along `seed`, or a list of runs of one network.
        roles: Which layers to compare. By default the hidden ones only: the head is pulled by
            the loss directly, and normalisation and embedding layers move at a pace of their own.
            `None` compares all.
        resamples: How many bootstrap samples of the runs the intervals rest on.
        seed: Seed of the bootstrap.

    Returns:
        Correlations, intervals and a verdict; see the module for the rule.

    Raises:
        ValueError: If there is no run, the runs have different layers, or no distances.

    Example:
        >>> steps = np.arange(0, 101, 10)
        >>> distance = np.stack([np.exp(-rate * steps) for rate in (0.2, 0.1, 0.05)], axis=1)
        >>> run = xr.Dataset(
        ...     {"distance": (("step", "layer"), distance)},
        ...     {"step": steps, "layer": ["first", "second", "third"]},
        ... )
        >>> print(convergence_bias(run).verdict)
        shallower faster
    """
    single = single_runs(runs)
    layers, left_out = compared_layers(single, roles)
    depth = np.arange(len(layers))
    times, areas = [], []
    never_half: set[str] = set()
    for run in single:
        run = run.sel(layer=layers)
        time = time_to_fraction(run)
        never = normalized_distance(run).notnull().any("step") & time.isnull()
        never_half.update(time["layer"].values[never.values].tolist())
        times.append((depth, time.where(~never, np.inf).values))
        areas.append((depth, area_under_distance(run).values))
    time_to_half = rank_correlation(times, resamples=resamples, seed=seed)
    area = rank_correlation(areas, resamples=resamples, seed=seed)
    verdict, reason = _verdict(time_to_half, area, len(layers))
    return ConvergenceBias(
        verdict,
        reason,
        time_to_half,
        area,
        len(single),
        tuple(layers),
        left_out,
        tuple(name for name in layers if name in never_half),
    )


def _verdict(time: RankCorrelation, area: RankCorrelation, layers: int) -> tuple[str, str]:
    if layers < _LAYERS_FOR_AN_ORDER:
        return NO_CLEAR_ORDER, (
            f"an order needs {_LAYERS_FOR_AN_ORDER} layers, and {layers} can be compared"
        )
    if np.isnan(time.spearman) or np.isnan(area.spearman):
        return NO_CLEAR_ORDER, "the layers cannot be told apart by their distances"
    if time.spearman * area.spearman <= 0:
        return NO_CLEAR_ORDER, "time to half the distance and area under it do not agree on one"
    for measure in (time, area):
        low, high = measure.spearman_interval or (measure.spearman, measure.spearman)
        if low <= 0 <= high:
            return NO_CLEAR_ORDER, "the interval over runs includes 0"
        few = np.isfinite(measure.spearman_of_runs).sum() < _RUNS_FOR_AN_INTERVAL
        if few and abs(measure.spearman) < _STRONG:
            return NO_CLEAR_ORDER, (
                f"with fewer than {_RUNS_FOR_AN_INTERVAL} runs, a correlation below {_STRONG} "
                "says little"
            )
    if time.spearman > 0:
        return SHALLOWER_FASTER, "deeper layers take longer and stay further away"
    return DEEPER_FASTER, "shallower layers take longer and stay further away"


def _one_run(chance: float | None) -> str:
    advice = f"Train with at least {_RUNS_FOR_AN_INTERVAL} seeds."
    if chance is None or np.isnan(chance):
        return f"One run proves little. {advice}"
    return (
        "One run proves little: layers in random order would look at least as ordered with "
        f"probability {chance:.2g}. {advice}"
    )
