"""Layers that a single update changes by a large part of their weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, multipliers, towards
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

LARGE = 0.2  # update over weights
_USUAL = 0.02  # update over weights that the advice aims at


def too_large(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
    """Returns which layers have too large updates, and each layer's largest update over weights."""
    ratios = np.where(np.isfinite(seen.ratio), seen.ratio, 0.0).max(axis=0)
    return seen.kernels & (ratios > LARGE), ratios


def most_are_too_large(seen: Observed) -> bool:
    """Returns whether more than half of the layers have too large updates.

    If so, the learning rate is too large, and not the updates of single layers.
    """
    chosen, _ = too_large(seen)
    return bool(chosen.sum() > seen.kernels.sum() / 2)


def _look(seen: Observed) -> Iterator[Finding]:
    chosen, ratios = too_large(seen)
    if not chosen.any() or most_are_too_large(seen):
        return
    layers, most = seen.named(chosen), float(ratios[chosen].max())
    place = int(np.nanargmax(np.where(np.isfinite(seen.ratio), seen.ratio, 0)[:, chosen].max(1)))
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[0]), int(seen.steps[place])),
        says=f"shortly before update {seen.steps[place]:,}, an update of {listed(layers)} was up "
        f"to {most:.2g} times as long as the weights.",
        evidence={"largest update over weights": most},
        sure=LIKELY,
        try_next=(multipliers(layers, towards(_USUAL, most)), CLIPPING),
    )


RULE = Rule(
    look=_look,
    says=f"between two records, the RMS update of a layer, but not of most layers, is above "
    f"{LARGE:g} of the norm of its weights at the first of them.",
    source="A rule of thumb: about 0.001 is usual, says Karpathy's CS231n, 'Ratio of weights: "
    "updates'.",
    needs=("update_norm", "parameter_norm"),
)
