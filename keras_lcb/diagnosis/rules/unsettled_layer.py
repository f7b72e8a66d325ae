"""Layers that still move when the others have converged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import multipliers, towards
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, mean, median
from keras_lcb.diagnosis.rule import Rule

_FAR, _NEAR = 0.1, 0.07  # normalized distance, for the layer and for the median layer
_TIMES = 2.5  # distance of the layer over that of the median layer
_STOPPED = 10.0  # update over weights of the layer, over that of the other layers
_MOST = 100.0  # factor by which other layers' learning rates are first raised

_AVERAGE = Advice(
    "decay",
    "Let the learning rate fall to zero, or average the weights, so that the layer converges.",
    "keras.optimizers.schedules.CosineDecay(0.1, decay_steps)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    third = seen.part(0.5, 0.75)
    distances = mean(seen.of("normalized_distance")[third], axis=0)
    left = np.where(seen.kernels & seen.trained(third), distances, np.nan)
    usual = float(median(left))
    with np.errstate(invalid="ignore"):
        moving = (left > _FAR) & (left > _TIMES * usual)
    if not moving.any() or usual > _NEAR:
        return
    layers, most = seen.named(moving), float(left[moving].max())
    evidence = {"distance left": most, "distance that the median layer had left": usual}
    times = _times_the_others(seen, moving)
    stopped = times > _STOPPED
    others = seen.named(seen.kernels & ~moving)
    hint = (
        ""
        if not stopped
        else (
            " They may have stopped only because their updates were so small: relative to the "
            f"weights, those of {listed(layers)} were {times:.0f} times as large."
        )
    )
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[third][0]), seen.updates[1]),
        says=f"in the third quarter of training, the distance of {listed(layers)} to the final "
        f"weights was still up to {most:.0%} of that at the start; half of all layers had "
        f"{usual:.1%} or less.{hint}",
        evidence=evidence | ({"update over that of other layers": times} if times else {}),
        sure=LIKELY,
        try_next=(
            multipliers(others, min(towards(times, 1.0), _MOST)) if stopped else _AVERAGE,
            multipliers(layers, 0.1),
        ),
    )


def _times_the_others(seen: Observed, moving: np.ndarray) -> float:
    """Returns by how much the layers' update over weights exceeds the others'; 0 if unknown."""
    ratios = median(seen.ratio[seen.part(0.5, 0.75)], axis=0)
    others = float(median(ratios[seen.kernels & ~moving]))
    return float(median(ratios[moving])) / others if others > 0 else 0.0


RULE = Rule(
    look=_look,
    says=f"in the third quarter of training, the distance of a layer to its final weights is above "
    f"{_FAR:.0%} of that at the start, and above {_TIMES:g} times that of the median layer, which "
    f"is at most {_NEAR:.0%} (means over records).",
    source="A rule of thumb of this package.",
    needs=("normalized_distance",),
    records=8,
    at_end=True,
)
