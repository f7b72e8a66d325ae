"""What the runs of one setting say of a claim: an effect, its interval, and a verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from keras_lcb.analysis import ConvergenceBias, Estimate, RankCorrelation, holm, pooled
from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT
from keras_lcb.analysis.rank import p_random_order
from keras_lcb.analysis.verdict import INCONCLUSIVE, LAYERS_FOR_AN_ORDER
from keras_lcb.experiments.scale import CORRELATION, RATIO, Scale

LEVEL = 0.05  # of all tests

Place = TypeVar("Place", bound=Hashable)  # what a finding is about, such as the name of a setting


@dataclass(frozen=True)
class Finding:
    """An effect over seeds, and the tests that a verdict rests on.

    Attributes:
        scale: On which the effect is told.
        seeds: The seeds, in the order of the values of `effect`.
        effect: Each seed's.
        p_order: P-value of "there is no effect".
        p_equivalent: P-value of "the effect is not small enough to count as none".
        direction: +1 or −1 where the effect's sign is known otherwise; by default that of its
            mean.
        beside: The same effect by other measures, in which a sign means the same.
        parts: What the effect is made of, or follows from, by name: no witnesses to it.
        loss: What the training loss was where the runs were looked at.
        lacking: Why there can be no verdict; mostly empty.
    """

    scale: Scale
    seeds: tuple[int, ...]
    effect: Estimate
    p_order: float
    p_equivalent: float
    direction: int | None = None
    beside: Mapping[str, Estimate] = field(default_factory=dict)
    parts: Mapping[str, Estimate] = field(default_factory=dict)
    loss: Estimate = Estimate(())
    lacking: str = ""

    @property
    def sign(self) -> int:
        """Of the effect: +1, −1, or 0 where nothing tells it from none."""
        if self.lacking or not self.p_order <= LEVEL or self.equivalent:
            return 0
        return self.direction or int(math.copysign(1, self.effect.mean))

    @property
    def equivalent(self) -> bool:
        """Whether the effect is sure to be small enough to count as none."""
        return not self.lacking and self.p_equivalent <= LEVEL

    @property
    def agreement(self) -> dict[str, str]:
        """For each measure beside, whether it has the effect's sign: "+", "−", or "?"."""
        sign = self.direction or (math.copysign(1, self.effect.mean))
        return {name: _like(estimate, sign) for name, estimate in self.beside.items()}

    @property
    def contested(self) -> bool:
        """Whether the other measures that contradict the verdict outnumber those with its sign."""
        likes = list(self.agreement.values())
        return self.sign != 0 and likes.count("−") > likes.count("+")


def _like(estimate: Estimate, sign: float) -> str:
    p = estimate.p_differs()
    if not p <= LEVEL:
        return "?"
    return "+" if estimate.mean * sign > 0 else "−"


def finding(
    values: Sequence[float],
    seeds: Sequence[int],
    scale: Scale,
    *,
    ranks: RankCorrelation | None = None,
    **told: object,
) -> Finding:
    """Returns what the effects of several seeds say.

    Args:
        values: The effect in each seed's run, as `Scale` keeps it.
        seeds: The seeds.
        scale: Of the effect.
        ranks: The rank correlation that the effect stands for, if it is about an order of layers;
            layers in random order have to be unlikely to have as large a one.
        **told: What else to tell; see `Finding`.

    Example:
        >>> found = finding([0.2, 0.3, 0.25, 0.31, 0.28], range(5), RATIO)
        >>> found.sign, RATIO.told(found.effect)
        (1, '1.31 [1.24, 1.38]')
    """
    effect = Estimate(tuple(float(value) for value in values))
    p_order = effect.p_differs()
    layers = LAYERS_FOR_AN_ORDER
    if ranks is not None:
        layers = max(ranks.layers_of_runs, default=0)
        p_order = max(p_order, p_random_order(ranks, ranks.layers_of_runs))
    lacking = ""
    if effect.count < RUNS_FOR_A_VERDICT:
        lacking = f"{_counted(effect.count, 'seed')}; a verdict takes {RUNS_FOR_A_VERDICT}"
    elif layers < LAYERS_FOR_AN_ORDER:
        lacking = f"{_counted(layers, 'layer')}; an order takes {LAYERS_FOR_AN_ORDER}"
    found = Finding(scale, tuple(seeds), effect, p_order, effect.p_within(*scale.bounds))
    return dataclasses.replace(found, **{"lacking": lacking, **told})  # type: ignore[arg-type]


def order_finding(
    depth: np.ndarray, values: np.ndarray, seeds: Sequence[int], **told: object
) -> Finding:
    """Returns what the rank correlations of a quantity with depth (or another) say.

    Args:
        depth: (layers,), or (seeds, layers).
        values: (seeds, layers).
        seeds: The seeds.
        **told: See `Finding`.
    """
    from keras_lcb.analysis import rank_correlation

    depths = np.broadcast_to(depth, values.shape)
    ranks = rank_correlation([(d, own) for d, own in zip(depths, values, strict=True)])
    return finding(ranks.spearman_of_runs, seeds, CORRELATION, ranks=ranks, **told)


def bias_finding(bias: ConvergenceBias, seeds: Sequence[int], **told: object) -> Finding:
    """Returns what `convergence_bias` found as a finding: with its rule, and so its verdict."""
    certain = dataclasses.replace(bias, p_order=0.0, p_equivalent=1.0)
    mixed = certain.verdict == INCONCLUSIVE  # what is measured disagrees, whatever the tests say
    direction = int(math.copysign(1, bias.time_to_half.spearman))
    found = Finding(
        RATIO,
        tuple(seeds),
        bias.ratio.logs,
        1.0 if mixed else bias.p_order,
        1.0 if bias.unseen else bias.p_equivalent,
        direction=None if bias.ratio.defined else direction,
        lacking=bias.lacking,
    )
    found = dataclasses.replace(found, **told)  # type: ignore[arg-type]
    # Ranks count a layer that is late as the last one, however late: an effect that takes it as
    # less may point the other way, and then nothing is clear.
    opposed = found.direction is not None and found.effect.mean * found.direction <= 0
    return dataclasses.replace(found, p_order=1.0) if opposed else found


def corrected(findings: Mapping[Place, Finding]) -> dict[Place, Finding]:
    """Returns findings with p-values corrected for their number by Holm's method.

    Settings without a verdict for want of seeds or layers are no tests, and do not count.

    Example:
        >>> one = finding([0.2, 0.3, 0.1, 0.31, 0.0], range(5), RATIO)
        >>> round(one.p_order, 3), round(corrected({"a": one, "b": one})["a"].p_order, 3)
        (0.037, 0.075)
    """
    told = [f for f in findings.values() if not f.lacking]
    orders = iter(holm([f.p_order for f in told]))
    equivalences = iter(holm([f.p_equivalent for f in told]))
    return {
        name: f
        if f.lacking
        else dataclasses.replace(f, p_order=next(orders), p_equivalent=next(equivalences))
        for name, f in findings.items()
    }


def over_settings(findings: Mapping[str, Finding], scale: Scale) -> Finding:
    """Returns the mean over settings, each of which counts once, whatever its seeds."""
    means = [f.effect.values for f in findings.values() if f.effect.count]
    effect = pooled(means)
    few = effect.count < RUNS_FOR_A_VERDICT
    lacking = (
        f"{_counted(effect.count, 'setting')}; a verdict takes {RUNS_FOR_A_VERDICT}" if few else ""
    )
    p_order, p_equivalent = effect.p_differs(), effect.p_within(*scale.bounds)
    return Finding(scale, (), effect, p_order, p_equivalent, lacking=lacking)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
