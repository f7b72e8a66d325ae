"""NaN and infinity, and the layer in which they began."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, learning_rate
from keras_lcb.diagnosis.extra_evidence import data_not_finite
from keras_lcb.diagnosis.finding import CERTAIN, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_DATA = Advice(
    "data",
    "Look for NaN, infinity and huge values in the data.",
    "np.isfinite(x).all(), np.isfinite(y).all()",
)


def _look(seen: Observed) -> Iterator[Finding]:
    first = int(seen.attrs.get("first_nonfinite_update", -1))
    if first < 0:
        return
    layers, where = _origin(seen, first)
    samples = data_not_finite(seen)
    contain = "contains" if samples == 1 else "contain"
    in_data = f" {samples:,} of the samples given {contain} NaN or infinity." if samples else ""
    soon = first < 0.1 * max(seen.updates[1] if len(seen.steps) else 0, first + 1)
    calmer = (learning_rate(0.01 if soon else 0.1, seen.rate), CLIPPING, _DATA)
    yield Finding(
        layers=layers,
        updates=(first, max(first, seen.updates[1] if len(seen.steps) else first)),
        says=f"NaN or infinity began at update {first:,}{where}.{in_data}",
        evidence={
            "first update with NaN or infinity": float(first),
            "updates with NaN or infinity": float(seen.attrs.get("nonfinite_updates", np.nan)),
        },
        sure=CERTAIN,
        try_next=calmer[::-1] if samples or first <= 1 else calmer,
    )


def _origin(seen: Observed, first: int) -> tuple[tuple[str, ...], str]:
    """Returns the layers in which NaN or infinity began, and words for a sentence that say so."""
    since = int(np.searchsorted(seen.steps, first))
    for name in ("gradient_norm", "parameter_norm"):
        finite = np.isfinite(seen.of(name))
        # Layers that were frozen before have no value either, and did not break.
        before = finite[:since][finite[:since].any(axis=1)]
        known = before[-1] if len(before) else finite.any(axis=0)
        broken = known & ~finite[since:]
        if broken.any():
            place = int(np.argmax(broken.any(axis=1)))
            if broken[place].sum() < known.sum():
                # Backpropagation starts at the deepest layer, so the deepest broken layer is first.
                deepest = int(np.flatnonzero(broken[place])[-1])
                rest = "; the layers after it stayed finite" if known[deepest + 1 :].any() else ""
                return (seen.layers[deepest],), f", first in {seen.layers[deepest]}{rest}"
            return (), _largest_before(seen, since + place)
    return (), ""


def _largest_before(seen: Observed, place: int) -> str:
    """Returns words that name the layer with the largest updates at the record before."""
    ratios = np.where(seen.kernels, seen.ratio, np.nan)[:place]
    finite = ratios[np.isfinite(ratios).any(axis=1)]
    if not len(finite):
        return ", in all layers at once"
    layer = seen.layers[int(np.nanargmax(finite[-1]))]
    return f", in all layers at once; before that, {listed([layer])} had the largest updates"


RULE = Rule(
    look=_look,
    says="a gradient or a weight was NaN or infinite.",
    source="The run states it.",
    records=0,
)
