"""Layers that an update throws far from where they were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, multipliers, towards
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

LARGE = 0.2  # of the weights, an update
_USUAL = 0.02


def thrown(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
    """Returns which layers were thrown, and how far an update moved each at most."""
    ratios = np.where(np.isfinite(seen.ratio), seen.ratio, 0.0).max(axis=0)
    return seen.kernels & (ratios > LARGE), ratios


def most_are_thrown(seen: Observed) -> bool:
    """Whether it is more than half of the layers, so that their rate is too large for all."""
    chosen, _ = thrown(seen)
    return bool(chosen.sum() > seen.kernels.sum() / 2)


def _look(seen: Observed) -> Iterator[Finding]:
    chosen, ratios = thrown(seen)
    if not chosen.any() or most_are_thrown(seen):
        return
    layers, most = seen.named(chosen), float(ratios[chosen].max())
    place = int(np.nanargmax(np.where(np.isfinite(seen.ratio), seen.ratio, 0)[:, chosen].max(1)))
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[0]), int(seen.steps[place])),
        says=f"by update {seen.steps[place]:,} an update moved {listed(layers)} by {most:.2g} "
        "times the size of its weights.",
        evidence={"largest update over weights": most},
        sure=LIKELY,
        try_next=(multipliers(layers, towards(_USUAL, most)), CLIPPING),
    )


RULE = Rule(
    look=_look,
    says=f"between two records the RMS update of a layer, but not of most layers, is above "
    f"{LARGE:g} of the weights that it began with.",
    source="A rule of thumb: about 0.001 is usual, says Karpathy's CS231n, 'Ratio of weights: "
    "updates'.",
    needs=("update_norm", "parameter_norm"),
)
