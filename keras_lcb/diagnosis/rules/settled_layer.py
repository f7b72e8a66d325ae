"""Layers that converge long before the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_NEAR, _FAR = 0.03, 0.1  # normalized distance, for settled and for other layers


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
        says=f"in the third quarter of training, the distance of {listed(layers)} to the final "
        f"weights was at most {most[settled].max():.1%} of that at the start; half of the others "
        f"had {np.median(others):.0%} or more.",
        evidence={
            "distance left": float(most[settled].max()),
            "distance that others had left": float(np.median(others)),
        },
        sure=LIKELY,
        try_next=(
            Advice(
                "freeze",
                "Freeze it after half of the training. Its updates take time and change little.",
                f'model.get_layer("{layers[0]}").trainable = False; model.compile(...)',
            ),
        ),
    )


RULE = Rule(
    look=_look,
    says=f"in the third quarter of training, the distance of a layer to its final weights is below "
    f"{_NEAR:.0%} of that at the start, and for half of the others it is at least {_FAR:.0%} "
    "(means over records).",
    source="Brock et al. (2017), 'FreezeOut', for freezing layers that have converged. The "
    "thresholds are rules of thumb.",
    needs=("normalized_distance",),
    records=8,
    at_end=True,
)
