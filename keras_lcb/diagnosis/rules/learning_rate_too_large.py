"""A learning rate beyond what the loss bears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, WARM_UP, learning_rate
from keras_lcb.diagnosis.finding import LIKELY, POSSIBLE, Finding
from keras_lcb.diagnosis.further import stability
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule

_BACK = 0.25  # of the way down, lost again at the end
_TO_AND_FRO = 3.0  # ways down in all, there and back
_THROWN = 0.3  # of the weights, by an update, early
_NO_WAY = 0.05  # of the first loss


def _look(seen: Observed) -> Iterator[Finding]:
    loss = seen.loss[np.isfinite(seen.loss)]
    if len(loss) < RULE.records:
        return
    evidence = signs(seen, loss)
    unstable = evidence["way lost again"] > _BACK or evidence["ways in all"] > _TO_AND_FRO
    fell = 1 - loss.min() / loss[0] if loss[0] > 0 else 1.0
    thrown = evidence["early update over weights"] > _THROWN and fell < _NO_WAY
    evidence |= stability(seen)
    beyond = evidence.get("curvature over what is stable", 0.0) > 1
    if not (unstable or thrown):
        return
    what = (
        "the loss goes up and down, or ends well above its lowest"
        if unstable
        else "the first updates threw the weights far away, and the loss has not fallen since"
    )
    yield Finding(
        layers=(),
        updates=seen.updates,
        says=f"{what}{', and the curvature is beyond what this rate bears' if beyond else ''}.",
        evidence=evidence,
        sure=LIKELY if beyond or thrown else POSSIBLE,
        try_next=(learning_rate(0.1, seen.rate), WARM_UP, CLIPPING),
    )


def signs(seen: Observed, loss: np.ndarray) -> dict[str, float]:
    """Returns how the loss went, by name."""
    way = max(loss[0] - loss.min(), 1e-3 * abs(loss[0]), 1e-12)
    last = loss[-max(1, len(loss) // 4) :]
    ratios = np.where(seen.kernels, seen.ratio, np.nan)[seen.part(0, 0.25)]
    return {
        "way lost again": float((np.median(last) - loss.min()) / way),
        "ways in all": float(np.abs(np.diff(loss)).sum() / way),
        "early update over weights": float(np.nanmax(np.r_[0.0, ratios.ravel()])),
    }


RULE = Rule(
    look=_look,
    says=f"the loss ends at more than {_BACK:.0%} of its way down above its lowest, or goes more "
    f"than {_TO_AND_FRO:g} times that way in all; or an early update moved a layer by more than "
    f"{_THROWN:g} of its weights and the loss never fell by {_NO_WAY:.0%}.",
    source="Cohen et al. (2021), 'Gradient descent on neural networks typically occurs at the edge "
    "of stability', for λ > 2/η; the thresholds on the loss are rules of thumb.",
    needs=("loss", "update_norm", "parameter_norm"),
    records=5,
    against=("learning rate too small",),
)
