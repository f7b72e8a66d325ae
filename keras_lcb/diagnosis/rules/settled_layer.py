"""Layers that converge long before the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, mean
from keras_lcb.diagnosis.rule import Rule

_NEAR, _FAR = 0.03, 0.1  # normalized distance, for settled and for other layers


def _look(seen: Observed) -> Iterator[Finding]:
    for part, words in (((0.5, 0.75), "third"), ((0.25, 0.5), "second")):
        records = seen.part(*part)
        distances = mean(seen.of("normalized_distance")[records], axis=0)
        left = np.where(seen.kernels & seen.trained(records), distances, np.nan)
        with np.errstate(invalid="ignore"):
            settled = left < _NEAR
        others = left[~settled & np.isfinite(left)]
        if settled.any() and others.size and np.median(others) >= _FAR:
            yield _finding(seen, records, words, left, settled, float(np.median(others)))
            return


def _finding(
    seen: Observed, records: slice, words: str, left: np.ndarray, settled: np.ndarray, others: float
) -> Finding:
    layers, most = seen.named(settled), float(left[settled].max())
    it, its = ("it", "Its") if len(layers) == 1 else ("them", "Their")
    return Finding(
        layers=layers,
        updates=(int(seen.steps[records][0]), seen.updates[1]),
        says=f"in the {words} quarter of training, the distance of {listed(layers)} to the final "
        f"weights was at most {most:.1%} of that at the start; half of the others had "
        f"{others:.0%} or more.",
        evidence={"distance left": most, "distance that others had left": others},
        sure=LIKELY,
        try_next=(
            Advice(
                "freeze",
                f"Freeze {it} at this point of the training. {its} updates take time and change "
                "little.",
                f"model.fit(..., callbacks=[lcb.FreezeConverged(layers={list(layers)})])",
            ),
        ),
    )


RULE = Rule(
    look=_look,
    says="in the second or third quarter of training, a layer is not frozen, and its distance to "
    f"its final weights is below {_NEAR:.0%} of that at the start, and for half of the others it "
    f"is at least {_FAR:.0%} (means over records).",
    source="Brock et al. (2017), 'FreezeOut', for freezing layers that have converged. The "
    "thresholds are rules of thumb.",
    needs=("normalized_distance",),
    records=8,
    at_end=True,
)
