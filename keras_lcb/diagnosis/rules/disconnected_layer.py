"""Layers that the loss does not reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import CERTAIN, POSSIBLE, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_CONNECT = Advice(
    "connect",
    "See that what the layer puts out is used on the way to the loss: no `stop_gradient`, no "
    "rounding or argmax behind it, no output without a loss. If it is not needed, leave it out.",
)


def _look(seen: Observed) -> Iterator[Finding]:
    norms = seen.of("gradient_norm")
    told = np.array(
        [
            "does not depend on it" in seen.missing.get(f"gradient_norm/{name}", "")
            for name in seen.layers
        ]
    )
    zero = (norms == 0).all(axis=0)
    for chosen, sure, how in (
        (told, CERTAIN, "no gradient reaches {}."),
        (
            zero & ~told,
            POSSIBLE,
            "the gradient of {} is exactly zero at every update: the loss does not depend on it, "
            "or all units of a layer behind it are dead.",
        ),
    ):
        if chosen.any():
            layers = seen.named(chosen)
            yield Finding(
                layers=layers,
                updates=seen.updates,
                says=how.format(listed(layers)),
                evidence={"layers without gradient": float(chosen.sum())},
                sure=sure,
                try_next=(_CONNECT,),
            )


RULE = Rule(
    look=_look,
    says="the layer is not frozen, and no update gives it a gradient, or none but zero.",
    source="The run states it.",
    needs=("gradient_norm",),
)
