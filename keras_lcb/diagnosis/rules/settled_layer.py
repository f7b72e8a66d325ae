"""Layers that arrived long before the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_NEAR, _FAR = 0.03, 0.1  # of the way, left


def _look(seen: Observed) -> Iterator[Finding]:
    left = seen.of("normalized_distance")[seen.part(0.5, 0.75)]
    with np.errstate(invalid="ignore"):
        most = np.where(seen.kernels, left.mean(axis=0), np.nan)
        settled = most < _NEAR
    others = most[~settled & np.isfinite(most)]
    if not settled.any() or not others.size or np.median(others) < _FAR:
        return
    layers = seen.named(settled)
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[seen.part(0.5, 0.75)][0]), seen.updates[1]),
        says=f"in the third quarter of training {listed(layers)} had at most "
        f"{most[settled].max():.1%} of its way left, others {np.median(others):.0%}.",
        evidence={
            "way left": float(most[settled].max()),
            "way that others had left": float(np.median(others)),
        },
        sure=LIKELY,
        try_next=(
            Advice(
                "freeze",
                "Freeze it for the second half: its updates cost time and change little.",
                f'model.get_layer("{layers[0]}").trainable = False; model.compile(...)',
            ),
        ),
    )


RULE = Rule(
    look=_look,
    says=f"in the third quarter of training a layer has at most {_NEAR:.0%} of its way left, and "
    f"half of the others at least {_FAR:.0%} (means over records).",
    source="Brock et al. (2017), 'FreezeOut', for freezing layers that have arrived. The "
    "thresholds are rules of thumb.",
    needs=("normalized_distance",),
    records=8,
    at_end=True,
)
