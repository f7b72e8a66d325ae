"""Weights that keep growing before a normalization layer, so that steps change them less."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import WARM_UP, multipliers
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_GROWN = 2.5  # norm of the weights at the end, over that at the start

_DECAY = Advice(
    "weight decay",
    "Use weight decay, which keeps the ratio of steps to weights constant.",
    "keras.optimizers.AdamW(1e-3, weight_decay=0.01)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    if "normalization" not in seen.roles:
        raise CannotTell("The network has no normalization layers.")
    norms = seen.of("parameter_norm")
    before = np.r_[seen.roles[1:] == "normalization", False] & seen.kernels
    with np.errstate(divide="ignore", invalid="ignore"):
        # No factor tells how far a layer has grown that begins at zero.
        start = np.where(seen.weights_before[0] > 0, seen.weights_before[0], np.nan)
        grown = norms[-1] / start
        late = norms[-1] / norms[seen.part(0.75, 1)][0]
        growing = before & (grown > _GROWN)
    if not growing.any():
        return
    layers, most = seen.named(growing), float(grown[growing].max())
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"the weights of {listed(layers)} have grown up to {most:.3g}-fold. If "
        "nothing is added to the output before the normalization that follows, this cancels their "
        "size, and the same step has less effect.",
        evidence={"growth": most, "growth in the last quarter": float(late[growing].max())},
        sure=LIKELY,
        try_next=(multipliers(layers, 0.1), _DECAY, WARM_UP),
    )


RULE = Rule(
    look=_look,
    says=f"the weights of a layer before a normalization have grown more than {_GROWN:g}-fold "
    "since the start.",
    source="van Laarhoven (2017), 'L2 regularization versus batch and weight normalization'. The "
    "thresholds are rules of thumb.",
    needs=("parameter_norm",),
    records=4,
)
