"""Layers that each update throws about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, learning_rate, multipliers
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import Rule

_LARGE = 0.1  # of the weights, an update


def _look(seen: Observed) -> Iterator[Finding]:
    ratios = np.where(seen.kernels, median(seen.ratio[seen.part(0.25, 1)], axis=0), np.nan)
    large = np.nan_to_num(ratios) > _LARGE
    if not large.any():
        return
    layers, most = seen.named(large), float(ratios[large].max())
    factor = float(10.0 ** np.floor(np.log10(_LARGE / most)))
    everywhere = large.sum() > seen.kernels.sum() / 2
    slower = learning_rate(factor, seen.rate) if everywhere else multipliers(layers, factor)
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"an update moves {listed(layers)} by up to {most:.2g} of its weights.",
        evidence={"update over weights": most},
        sure=LIKELY,
        try_next=(slower, CLIPPING),
    )


RULE = Rule(
    look=_look,
    says=f"an update moves a layer by more than {_LARGE:g} of its weights "
    "(median over records after the first quarter of training).",
    source="A rule of thumb: about 0.001 is usual, says Karpathy's CS231n, 'Ratio of weights: "
    "updates'.",
    needs=("update_norm", "parameter_norm"),
    records=5,
)
