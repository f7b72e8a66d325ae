"""Weights that grow without end in front of a normalisation, so that steps mean ever less."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import WARM_UP, learning_rate
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_GROWN = 2.5  # times

_DECAY = Advice(
    "weight decay",
    "Let weights decay, which keeps the size of the steps against the weights steady.",
    "keras.optimizers.AdamW(1e-3, weight_decay=0.01)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    if "normalization" not in seen.roles:
        raise CannotTell("The network has no normalisation layers.")
    norms = seen.of("parameter_norm")
    before = np.r_[seen.roles[1:] == "normalization", False] & seen.kernels
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = norms[-1] / seen.weights_before[0]
        late = norms[-1] / norms[seen.part(0.75, 1)][0]
        growing = before & (grown > _GROWN)
    if not growing.any():
        return
    layers, most = seen.named(growing), float(grown[growing].max())
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"the weights of {listed(layers)}, whose size the normalisation behind undoes, have "
        f"grown {most:.3g}-fold: the same step turns them so much less.",
        evidence={"growth": most, "growth in the last quarter": float(late[growing].max())},
        sure=LIKELY,
        try_next=(learning_rate(0.1, seen.rate), _DECAY, WARM_UP),
    )


RULE = Rule(
    look=_look,
    says=f"in front of a normalisation, a layer's weights have grown more than {_GROWN:g}-fold "
    "since the start.",
    source="van Laarhoven (2017), 'L2 regularization versus batch and weight normalization'. The "
    "thresholds are rules of thumb.",
    needs=("parameter_norm",),
    records=4,
)
