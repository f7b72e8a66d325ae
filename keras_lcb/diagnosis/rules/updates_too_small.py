"""Layers whose updates are very small, while those of others are not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import NORMALIZATION, multipliers
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import Rule

SMALL = 1e-5  # update over weights
_BELOW_OTHERS = 0.03  # that ratio, over the largest of any layer


def _look(seen: Observed) -> Iterator[Finding]:
    ratios = np.where(seen.kernels, median(seen.ratio, axis=0), np.nan)
    largest = np.nanmax(ratios) if np.isfinite(ratios).any() else np.nan
    with np.errstate(invalid="ignore"):
        small = (ratios > 0) & (ratios < SMALL) & (ratios < _BELOW_OTHERS * largest)
    if not small.any():
        return
    layers, least = seen.named(small), float(ratios[small].min())
    factor = 10.0 ** np.floor(np.log10(largest / ratios[small].max()))
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"an update changes {listed(layers)} by as little as {least:.1g} of the norm of the "
        f"weights, and another layer by {largest:.1g}.",
        evidence={"update over weights": least, "largest of another layer": float(largest)},
        sure=LIKELY,
        try_next=(multipliers(layers, float(factor)), NORMALIZATION),
    )


RULE = Rule(
    look=_look,
    says=f"an update changes a layer by less than {SMALL:g} of the norm of its weights, and this "
    f"ratio is less than {_BELOW_OTHERS:g} times that of another layer (medians over records).",
    source="A rule of thumb: about 0.001 is usual, says Karpathy's CS231n, 'Ratio of weights: "
    "updates'.",
    needs=("update_norm", "parameter_norm"),
)
