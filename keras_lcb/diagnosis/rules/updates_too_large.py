"""Layers that a single update changes by a large part of their weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, multipliers, towards
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

LARGE = 0.2  # update over weights of a layer
MANY = 0.15  # update over weights of the median layer
_APART = 4.0  # update over weights of a layer, over that of the median layer
_USUAL = 0.02  # update over weights that the advice aims at


def ratios(seen: Observed) -> np.ndarray:
    """Returns updates over weights of layers with kernels, (records, layers); 0 if not finite."""
    return np.where(np.isfinite(seen.ratio) & seen.kernels, seen.ratio, 0.0)


def typical(seen: Observed) -> float:
    """Returns the update over weights of the median layer, largest over records."""
    if not seen.kernels.any():
        return 0.0
    return float(np.median(ratios(seen)[:, seen.kernels], axis=1).max(initial=0.0))


def layers_apart(seen: Observed) -> np.ndarray:
    """Returns which layers have far larger updates than others when the first become too large.

    Their updates soon throw the other layers, too, so later records do not tell the cause.
    """
    large = ratios(seen) > LARGE
    if not large.any():
        return np.zeros(len(seen.layers), bool)
    first = int(np.argmax(large.any(axis=1)))
    now = ratios(seen)[first]
    usual = float(np.median(now[seen.kernels]))
    if usual >= 2 * LARGE:
        return np.zeros(len(seen.layers), bool)
    return np.asarray(large[first] & (now > _APART * usual))


def single_layers(seen: Observed) -> np.ndarray:
    """Returns which layers have too large updates, while most layers have not."""
    apart = layers_apart(seen)
    if apart.any() or typical(seen) > MANY:
        return apart
    return np.asarray((ratios(seen) > LARGE).any(axis=0))


def most_are_too_large(seen: Observed) -> bool:
    """Returns whether the median layer has too large updates, and not because of single layers.

    If so, the learning rate is too large, and not the updates of single layers.
    """
    return typical(seen) > MANY and not single_layers(seen).any()


def _look(seen: Observed) -> Iterator[Finding]:
    chosen = single_layers(seen)
    if not chosen.any():
        return
    own = ratios(seen)[:, chosen].max(axis=1)
    layers, most, place = seen.named(chosen), float(own.max()), int(np.argmax(own))
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
    says=f"between two records, the RMS update of a layer is above {LARGE:g} of the norm of its "
    f"weights at the first of them, and above {_APART:g} times that of the median layer, or the "
    f"median layer never exceeds {MANY:g}.",
    source="A rule of thumb: about 0.001 is usual, says Karpathy's CS231n, 'Ratio of weights: "
    "updates'.",
    needs=("update_norm", "parameter_norm"),
)
