"""Layers that do not train."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import CERTAIN, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_UNFREEZE = Advice(
    "unfreeze",
    "If this is not intended, set `trainable` and compile again, because the flag has no effect "
    "before.",
    "layer.trainable = True; model.compile(...)",
)


def _look(seen: Observed) -> Iterator[Finding]:
    steps = seen.of("update_norm")
    with_gradient = np.isfinite(seen.of("gradient_norm")).any(axis=0)
    told = seen.without_gradient("is frozen")
    still = (np.nan_to_num(steps, nan=np.inf) == 0).all(axis=0)
    pulled = (np.nan_to_num(seen.of("gradient_norm")) > 0).any(axis=0)
    frozen = told | (still & (pulled | ~with_gradient))
    if not frozen.any():
        return
    layers = seen.named(frozen)
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"no update changes {listed(layers)}.",
        evidence={"frozen layers": float(frozen.sum()), "layers": float(len(seen.layers))},
        sure=CERTAIN,
        try_next=(_UNFREEZE,),
    )


RULE = Rule(
    look=_look,
    says="the layer is frozen, or its learning rate is multiplied by 0.",
    source="The run states it.",
    needs=("update_norm",),
)
