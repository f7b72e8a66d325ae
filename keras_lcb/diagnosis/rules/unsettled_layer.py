"""Layers that go on moving while others have settled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import multipliers
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import Rule

_TIMES = 20.0  # what the median layer moves
_MOVES = 0.003  # of the weights, an update
_HOLDS = 0.3  # of what it moved early

_AVERAGE = Advice(
    "decay",
    "Let the learning rate fall to zero, or average the weights, so that it comes to rest.",
    "keras.optimizers.schedules.CosineDecay(0.1, decay_steps)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    ratios = np.where(seen.kernels, seen.ratio, np.nan)
    early, late = (median(ratios[seen.part(*of)], axis=0) for of in ((0, 0.5), (0.75, 1)))
    usual = float(median(late))
    with np.errstate(invalid="ignore", divide="ignore"):
        moving = (late > _TIMES * usual) & (late > _MOVES) & (late > _HOLDS * early)
    if not moving.any():
        return
    layers, most = seen.named(moving), float(late[moving].max())
    with np.errstate(divide="ignore"):
        factor = 10.0 ** -np.floor(np.log10(most / usual)) if usual else 0.0
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[seen.part(0.75, 1)][0]), seen.updates[1]),
        says=f"in the last quarter each update still moves {listed(layers)} by {most:.2g} of its "
        f"weights, and half of the layers by less than {usual:.1g}.",
        evidence={"update over weights": most, "of the median layer": usual},
        sure=LIKELY,
        try_next=(multipliers(layers, float(factor)), _AVERAGE),
    )


RULE = Rule(
    look=_look,
    says=f"in the last quarter an update moves a layer by more than {_TIMES:g} times what it moves "
    f"the median layer, by more than {_MOVES:g} of its weights, and by more than {_HOLDS:.0%} of "
    "what it was at first.",
    source="A rule of thumb of this package.",
    needs=("update_norm", "parameter_norm"),
    records=8,
    at_end=True,
)
