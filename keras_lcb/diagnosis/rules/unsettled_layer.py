"""Layers that still move when the others have converged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import multipliers
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, mean
from keras_lcb.diagnosis.rule import Rule

_FAR, _NEAR = 0.1, 0.07  # normalized distance, for the layer and for the median layer
_TIMES = 2.5  # distance of the layer over that of the median layer

_AVERAGE = Advice(
    "decay",
    "Let the learning rate fall to zero, or average the weights, so that the layer converges.",
    "keras.optimizers.schedules.CosineDecay(0.1, decay_steps)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    left = mean(seen.of("normalized_distance")[seen.part(0.5, 0.75)], axis=0)
    left = np.where(seen.kernels, left, np.nan)
    known = left[np.isfinite(left)]
    usual = float(np.median(known)) if known.size else np.nan
    with np.errstate(invalid="ignore"):
        moving = (left > _FAR) & (left > _TIMES * usual)
    if not moving.any() or usual > _NEAR:
        return
    layers, most = seen.named(moving), float(left[moving].max())
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[seen.part(0.5, 0.75)][0]), seen.updates[1]),
        says=f"in the third quarter of training, the distance of {listed(layers)} to the final "
        f"weights was still up to {most:.0%} of that at the start; half of all layers had "
        f"{usual:.1%} or less.",
        evidence={"distance left": most, "distance that the median layer had left": usual},
        sure=LIKELY,
        try_next=(multipliers(layers, 0.1), _AVERAGE),
    )


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
