"""The verdict on the layer convergence bias: do shallow layers converge faster than deep ones?

The size of the effect is the ratio of times to half the distance, of the last layer to the first,
from a trend over hidden layers, each compared with those of its shape (`equal_layers`,
`time_ratio`). The runs, which differ in their seeds, are the sample: the mean ratio over runs has
Student's t interval. There are four verdicts:

- "equivalent": the ratio lies within bounds around 1. Two one-sided t tests at 5 % decide this,
  which is the same as a 90 % interval within the bounds. A difference within the bounds counts as
  none, even if it is reliable.
- "shallower faster" or "deeper faster". First, the ratio's 95 % interval lies above 1, or below 1.
  Second, if the layers had a random order, so large a rank correlation of depth and time to half
  would occur in less than 5 % of cases. Third, this correlation, and that of depth and area under
  the distance, have the ratio's direction. If some layer never came half the way, there is no
  ratio; then the 95 % interval of the rank correlation of depth and time to half must exclude 0
  instead.
- "inconclusive": everything else. The reason is given: fewer than 3 layers or 5 runs, measures
  that disagree, or an interval that is too wide.

So an interval that includes 1 alone does not mean that layers are equally fast. If each run draws
the order of its layers anew, at most one study in twenty finds an order, whatever the number of
layers and runs (`python -m benchmarks.calibration`).

A verdict is about these layers of this network. Layers may also be faster or slower than others for
a reason that is the same in all runs, but has nothing to do with depth. Such differences often look
like an order by depth: with 5 layers in four studies of ten with 5 runs, and in six of ten with 10
(the same program). More seeds do not help against this; networks of other depths and shapes do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_lcb.analysis.comparison import Comparison
from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT, Estimate
from keras_lcb.analysis.rank import RankCorrelation, p_random_order, rank_correlation
from keras_lcb.analysis.time_ratio import TimeRatio, time_ratio

SHALLOWER_FASTER = "shallower faster"
DEEPER_FASTER = "deeper faster"
EQUIVALENT = "equivalent"
INCONCLUSIVE = "inconclusive"

LAYERS_FOR_AN_ORDER = 3
LEVEL = 0.05  # the significance level of all tests
BOUNDS = (0.9, 1.11)  # a ratio between these bounds counts as no difference


@dataclass(frozen=True)
class ConvergenceBias:
    """The result of `convergence_bias`. `str` gives it in words.

    Attributes:
        ratio: The ratio of the times to half the distance, of the last layer to the first.
        time_to_half: The rank correlation of depth and time to half the distance.
        area: The rank correlation of depth and area under the normalized distance.
        p_order: The p-value of "there is no order". It is the larger one of two: that of the t
            test of the ratio (or of the rank correlation with the time to half, if the ratio is
            not defined), and that of the test against random orders.
        p_equivalent: The p-value of "the ratio is not within `bounds`".
        bounds: The bounds of the ratios that count as no difference.
        layers: The compared layers, shallow first.
        times: The time to half the distance of each layer, the geometric mean over runs.
        beside: Further ratios, by description: by other measures that the runs hold, and over all
            hidden layers if some have another shape.
        never_half: Layers that did not come half the way in some run. They count as slower than
            all others.
        unseen: Layers that came half the way before the first record after the start in some run.
            Their times are only known to lie between the two records, so that the layers cannot be
            equivalent.
        left_out: Why each other layer is not compared: its role, its shape, or that it never
            moved.
        notes: Sentences about what was compared.
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
    unseen: tuple[str, ...] = ()
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
        """The reason for the verdict, in a few words."""
        return self._judged()[1]

    def _judged(self) -> tuple[str, str]:
        if self.lacking:
            return INCONCLUSIVE, self.lacking
        low, high = self.bounds
        effect = _effect(self.ratio)
        if self.p_equivalent <= LEVEL and self.unseen:
            return INCONCLUSIVE, (
                f"{effect}, but some layers came half the way before the first record after the "
                "start, where times cannot be told apart"
            )
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
                f"{effect}, but layers in random order, or so many tests, may show the same by "
                "chance"
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
        """Why there is too little data for a verdict; "" if there is enough."""
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
        """Returns the verdict, its reasons and its limits, as sentences."""
        return " ".join(_sentences(self))


def judged(
    times: np.ndarray,
    areas: np.ndarray,
    layers: Comparison | Sequence[str],
    bounds: tuple[float, float] = BOUNDS,
    **told: Any,
) -> ConvergenceBias:
    """Returns the verdict on given times and areas.

    Args:
        times: Times to half the distance (runs, layers), shallow layers first; infinite for a
            layer that never came so far.
        areas: Areas under the normalized distance (runs, layers).
        layers: Which layers these are. If names are given, each is compared with all others.
        bounds: The bounds of the ratios that count as no difference. Defaults to (0.9, 1.11).
        **told: Further attributes of `ConvergenceBias`.

    Example:
        >>> times = np.array([[10, 20, 30], [10, 20, 31], [11, 20, 30], [10, 21, 30], [10, 20, 33]])
        >>> judged(times, times / 100, ["first", "second", "third"]).verdict
        'shallower faster'
    """
    compared = layers if isinstance(layers, Comparison) else Comparison.of_all(layers)
    ratio = time_ratio(times, compared)
    depth = np.array(compared.places)
    time_to_half, area = (
        rank_correlation([(depth, own) for own in v], compared.groups) for v in (times, areas)
    )
    over_runs = ratio.logs if ratio.defined else Estimate(time_to_half.spearman_of_runs)
    unknown = np.full(len(compared.layers), np.nan)
    typical = np.exp(np.log(times).mean(axis=0)) if len(times) else unknown
    return ConvergenceBias(
        ratio,
        time_to_half,
        area,
        max(over_runs.p_differs(), p_random_order(time_to_half, compared.count)),
        ratio.p_within(*bounds),
        bounds,
        compared.layers,
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
    if bias.unseen:
        said.append(
            "Some layers came half the way before the first record after the start, so their times "
            f"are imprecise: {', '.join(bias.unseen)}. Record more often."
        )
    said += bias.notes
    if bias.left_out:
        said.append(f"Left out: {_listed(bias.left_out)}.")
    return said


def _effect(ratio: TimeRatio) -> str:
    return f"the last layer takes {ratio} times as long as the first to come half the way"


def _disagreeing(bias: ConvergenceBias) -> list[str]:
    """Returns a sentence if other measures clearly have the reverse order."""
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
    """Returns a sentence if layers are "equivalent" along depth, but differ otherwise."""
    if bias.verdict != EQUIVALENT:
        return []
    fast, slow = np.argmin(bias.times), np.argmax(bias.times)
    apart = bias.times[slow] / bias.times[fast]
    if apart <= bias.bounds[1]:
        return []
    return [
        f"The layers still differ, though not with depth: {bias.layers[slow]} takes {apart:.2f} "
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
    """Returns names as text, grouped by the reason why they are left out."""
    alike: dict[str, list[str]] = {}
    for name, why in left_out.items():
        alike.setdefault(why, []).append(name)
    return ", ".join(
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''} ({why})"
        for why, names in alike.items()
    )
