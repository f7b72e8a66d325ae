"""Layers on which the loss does not depend."""

from __future__ import annotations

from collections.abc import Iterator

from keras_lcb.diagnosis.finding import CERTAIN, POSSIBLE, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_CONNECT = Advice(
    "connect",
    "Check that the loss depends on the layer's output through differentiable operations only: no "
    "`stop_gradient`, rounding or argmax after it, and no output without a loss. If the layer is "
    "not needed, remove it.",
)


def _look(seen: Observed) -> Iterator[Finding]:
    norms = seen.of("gradient_norm")
    told = seen.without_gradient("does not depend on it")
    zero = (norms == 0).all(axis=0)
    for chosen, sure, how in (
        (told, CERTAIN, "no gradient reaches {}."),
        (
            zero & ~told,
            POSSIBLE,
            "the gradient of {} is exactly zero in every update. Either the loss does not depend "
            "on it, or all units of a later layer are dead.",
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
    says="the layer is not frozen, but in every update its gradient is missing or zero.",
    source="The run states it.",
    needs=("gradient_norm",),
)
