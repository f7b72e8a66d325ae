"""The verdict on the layer convergence bias: do shallow layers converge faster than deep ones?

How the verdict is reached. The size of the effect is the ratio of the time to half the distance,
last to first layer, along a trend over hidden layers of equal shape (`time_ratio`). Its mean over
runs has Student's t interval; the runs, which differ in their seeds, are the sample. The verdict
is one of four:

- "equivalent": the ratio lies within bounds around 1 (two one-sided t tests at 5 %, the same as a
  90 % interval within the bounds). A difference that is reliable, but as small as that, is none.
- "shallower faster", "deeper faster": the ratio's 95 % interval lies above 1, or below; layers in
  random order would have so large a rank correlation of depth with the time to half in less than
  5 % of cases; and it has the ratio's direction, as has that with the area under the distance.
  Where some layer never came half the way there is no ratio, and the 95 % interval of the rank
  correlation with the time to half has to leave out 0.
- "inconclusive": everything else, with its reason: fewer than 3 layers or 5 runs, measures that
  disagree, or an interval that is too wide.

So an interval that includes 1 is not read as support for equal speeds. Where depth has nothing to
do with speed, at most one study in twenty has a clear order, whatever the number of layers and
runs (`python -m benchmarks.calibration`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT, Estimate
from keras_lcb.analysis.rank import RankCorrelation, p_random_order, rank_correlation
from keras_lcb.analysis.time_ratio import TimeRatio, time_ratio

SHALLOWER_FASTER = "shallower faster"
DEEPER_FASTER = "deeper faster"
EQUIVALENT = "equivalent"
INCONCLUSIVE = "inconclusive"

LAYERS_FOR_AN_ORDER = 3
LEVEL = 0.05  # of all tests
BOUNDS = (0.9, 1.11)  # between which a ratio counts as none


@dataclass(frozen=True)
class ConvergenceBias:
    """What `convergence_bias` found; `str` gives it in words.

    Attributes:
        ratio: Of the time to half the distance, last to first layer.
        time_to_half: Rank correlation of depth with the time to half the distance.
        area: Rank correlation of depth with the area under the normalised distance.
        p_order: P-value of "there is no order": the larger of that of the ratio (where it is not
            defined, of the rank correlation with the time to half) over runs, and that of the rank
            correlation among random orders.
        p_equivalent: P-value of "the ratio is not within `bounds`".
        bounds: Between which a ratio counts as none.
        layers: The layers compared, shallow first.
        times: Each one's time to half the distance, the geometric mean over runs.
        beside: The same ratio otherwise: by other measures that the run holds, and over all hidden
            layers where some have another shape.
        never_half: Layers that in some run did not come half the way; they count as slower than
            all that did.
        left_out: Why each other layer is not compared: its role, its shape, or that it never
            moved.
        notes: Sentences on what was compared.
    """

    ratio: TimeRatio
    time_to_half: RankCorrelation
    area: RankCorrelation
    p_order: float
    p_equivalent: float
    bounds: tuple[float, float]
    layers: tuple[str, ...]
    times: tuple[float, ...]
    beside: dict[str, TimeRatio] = field(default_factory=dict)
    never_half: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """How many runs were compared."""
        return len(self.ratio.of_runs)

    @property
    def verdict(self) -> str:
        """One of "shallower faster", "deeper faster", "equivalent" and "inconclusive"."""
        return self._judged()[0]

    @property
    def reason(self) -> str:
        """What the verdict rests on, in a few words."""
        return self._judged()[1]

    def _judged(self) -> tuple[str, str]:
        if self.lacking:
            return INCONCLUSIVE, self.lacking
        low, high = self.bounds
        effect = _effect(self.ratio)
        if self.p_equivalent <= LEVEL:
            small = ": a reliable difference, but a small one" if self.p_order <= LEVEL else ""
            return EQUIVALENT, f"{effect}, which is within {low:g} to {high:g}{small}"
        if not self.ratio.defined:
            effect = (
                "the rank correlation of depth with the time to half the distance is "
                f"{self.time_to_half}, while a ratio of times is not defined"
            )
        if self.ratio.p_differs() <= LEVEL < self.p_order:
            return INCONCLUSIVE, (
                f"{effect}, no more than layers in random order, or as many tests as were made, "
                "may show by chance"
            )
        if not self.p_order <= LEVEL:
            beyond = f", nor sure to be within {low:g} to {high:g}" if self.ratio.defined else ""
            return INCONCLUSIVE, f"{effect}: not clearly in one direction{beyond}"
        ways = [math.log(self.ratio.value)] if self.ratio.defined else []
        ranks = [self.time_to_half.spearman, self.area.spearman]
        ways += [rho for rho in ranks if not math.isnan(rho)]
        if min(ways) > 0:
            return SHALLOWER_FASTER, effect
        if max(ways) < 0:
            return DEEPER_FASTER, effect
        return INCONCLUSIVE, f"{effect}, and the ranks or the areas have the other direction"

    @property
    def lacking(self) -> str:
        """What there is too little of for any verdict but "inconclusive"; mostly empty."""
        if not self.runs:
            return "every run diverged"
        if len(self.layers) < LAYERS_FOR_AN_ORDER:
            return (
                f"an order needs {LAYERS_FOR_AN_ORDER} layers, and {len(self.layers)} can be "
                "compared"
            )
        if self.runs < RUNS_FOR_A_VERDICT:
            return f"a verdict takes at least {RUNS_FOR_A_VERDICT} seeds"
        ranks = Estimate(self.time_to_half.spearman_of_runs)
        if not self.ratio.defined and ranks.count < RUNS_FOR_A_VERDICT:
            return "the layers cannot be told apart by their distances"
        return ""

    def __str__(self) -> str:
        """The verdict, what it rests on, and what it does not show."""
        return " ".join(_sentences(self))


def judged(
    times: np.ndarray,
    areas: np.ndarray,
    layers: Sequence[str],
    bounds: tuple[float, float] = BOUNDS,
    **told: Any,
) -> ConvergenceBias:
    """Return the verdict on times and areas that are already known.

    Args:
        times: Time to half the distance (runs, layers), shallow layers first; infinite for never.
        areas: Area under the normalised distance (runs, layers).
        layers: Their names.
        bounds: Between which a ratio counts as none.
        **told: What else to tell; see `ConvergenceBias`.

    Example:
        >>> times = np.array([[10, 20, 30], [10, 20, 31], [11, 20, 30], [10, 21, 30], [10, 20, 33]])
        >>> judged(times, times / 100, ["first", "second", "third"]).verdict
        'shallower faster'
    """
    ratio = time_ratio(times)
    depth = np.arange(len(layers))
    time_to_half, area = (rank_correlation([(depth, own) for own in v]) for v in (times, areas))
    over_runs = ratio.logs if ratio.defined else Estimate(time_to_half.spearman_of_runs)
    typical = np.exp(np.log(times).mean(axis=0)) if len(times) else np.full(len(layers), np.nan)
    return ConvergenceBias(
        ratio,
        time_to_half,
        area,
        max(over_runs.p_differs(), p_random_order(time_to_half, len(layers))),
        ratio.p_within(*bounds),
        bounds,
        tuple(layers),
        tuple(typical.tolist()),
        **told,
    )


def _sentences(bias: ConvergenceBias) -> list[str]:
    over = "in this one run" if bias.runs == 1 else f"over {bias.runs} runs"
    said = [f"{bias.verdict.capitalize()} {over}: {bias.reason}."]
    if bias.lacking and bias.ratio.defined:
        said.append(f"{_effect(bias.ratio).capitalize()}.")
    if not math.isnan(bias.time_to_half.spearman) or not math.isnan(bias.area.spearman):
        said.append(
            f"Rank correlation of depth (Spearman): with time to half {bias.time_to_half}, with "
            f"area under the distance {bias.area}."
        )
    if bias.beside:
        ratios = "; ".join(f"{how} {ratio}" for how, ratio in bias.beside.items())
        said.append(f"The same ratio {ratios}.")
    said += [*_disagreeing(bias), *_unlike_depth(bias)]
    if bias.runs > 1:
        said.append("In brackets: 95 % t intervals over runs.")
    if bias.runs == 1:
        said.append(_one_run(bias.time_to_half.chance))
    if bias.never_half:
        said.append(f"Never came half the way, counted as slowest: {', '.join(bias.never_half)}.")
    said += bias.notes
    if bias.left_out:
        said.append(f"Left out: {_listed(bias.left_out)}.")
    return said


def _effect(ratio: TimeRatio) -> str:
    return f"the last layer takes {ratio} times as long as the first to come half the way"


def _disagreeing(bias: ConvergenceBias) -> list[str]:
    """Which other measures clearly have the reverse order."""
    sign = {SHALLOWER_FASTER: 1, DEEPER_FASTER: -1}.get(bias.verdict, 0)
    reverse = [
        how
        for how, ratio in bias.beside.items()
        if ratio.p_differs() <= LEVEL and sign * math.log(ratio.value) < 0
    ]
    if not reverse:
        return []
    return [f"The measures disagree: the order is the reverse {', '.join(reverse)}."]


def _unlike_depth(bias: ConvergenceBias) -> list[str]:
    """What "equivalent" does not say: that layers may differ in another way than with depth."""
    if bias.verdict != EQUIVALENT:
        return []
    fast, slow = np.argmin(bias.times), np.argmax(bias.times)
    apart = bias.times[slow] / bias.times[fast]
    if apart <= bias.bounds[1]:
        return []
    return [
        f"The layers differ all the same, if not with depth: {bias.layers[slow]} takes {apart:.2f} "
        f"times as long as {bias.layers[fast]}."
    ]


def _one_run(chance: float | None) -> str:
    if chance is None or math.isnan(chance):
        return "One run proves little."
    return (
        "One run proves little: layers in random order would look at least as ordered with "
        f"probability {chance:.2g}."
    )


def _listed(left_out: Mapping[str, str]) -> str:
    """Names with what they share, those of a kind together."""
    alike: dict[str, list[str]] = {}
    for name, why in left_out.items():
        alike.setdefault(why, []).append(name)
    return ", ".join(
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''} ({why})"
        for why, names in alike.items()
    )
