"""A learning rate beyond what the loss bears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_lcb.diagnosis.advice import CLIPPING, WARM_UP, learning_rate, towards
from keras_lcb.diagnosis.finding import LIKELY, POSSIBLE, Finding
from keras_lcb.diagnosis.further import stability
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule
from keras_lcb.diagnosis.rules.updates_too_large import LARGE, most_are_thrown, thrown

_BACK = 0.3  # of the way down, lost again at the end
_TO_AND_FRO = 3.0  # ways down in all, there and back
_MOVES = 0.01  # of the weights: noise alone shows in a loss that hardly moves
_ABOVE, _CHANGE = 1.5, 0.5  # beyond what noise makes of a loss
_USUAL = 0.05
_RECORDS = 12
_TINY = 1e-30


def _look(seen: Observed) -> Iterator[Finding]:
    evidence = _signs(seen)
    moves = evidence["largest update over weights"]
    over = most_are_thrown(seen)
    swings = moves > _MOVES and _goes_up(evidence)
    if not over and not swings:
        if len(evidence) == 1:
            raise CannotTell("The run holds too few losses that are finite.")
        return
    evidence |= stability(seen)
    beyond = evidence.get("curvature over what is stable", 0.0) > 1
    what = (
        f"single updates moved most layers by more than {LARGE:g} of their weights"
        if over
        else "the loss goes up and down, or ends well above its lowest"
    )
    yield Finding(
        layers=(),
        updates=seen.updates,
        says=f"{what}{', and the curvature is beyond what this rate bears' if beyond else ''}.",
        evidence=evidence,
        sure=LIKELY if over or beyond else POSSIBLE,
        try_next=(
            learning_rate(min(0.1, towards(_USUAL, moves)), seen.rate),
            WARM_UP,
            CLIPPING,
        ),
    )


def _goes_up(evidence: dict[str, float]) -> bool:
    """Whether the loss rises or swings, and by more than noise between batches would have it."""
    back = evidence.get("way lost again", 0.0) > _BACK
    swings = evidence.get("ways in all", 0.0) > _TO_AND_FRO
    return (back and evidence["end over lowest"] > _ABOVE) or (
        swings and evidence["usual change over loss"] > _CHANGE
    )


def _signs(seen: Observed) -> dict[str, float]:
    """Returns how far updates went, and how the loss did, by name."""
    _, ratios = thrown(seen)
    typical = float(np.median(ratios[seen.kernels])) if seen.kernels.any() else 0.0
    signs = {"largest update over weights": typical}
    loss = seen.loss[np.isfinite(seen.loss)]
    if len(loss) >= _RECORDS:
        lowest = max(float(np.median(sliding_window_view(loss, 3), axis=1).min()), _TINY)
        way = max(loss[0] - lowest, 1e-3 * abs(loss[0]), _TINY)
        end = np.median(loss[-max(1, len(loss) // 4) :])
        changes = np.abs(np.diff(loss))
        with np.errstate(over="ignore"):
            signs["way lost again"] = float((end - lowest) / way)
            signs["end over lowest"] = float(end / lowest)
            signs["ways in all"] = float(changes.sum() / way)
            signs["usual change over loss"] = float(np.mean(changes) / max(np.median(loss), _TINY))
    return signs


RULE = Rule(
    look=_look,
    says=f"between two records the RMS update of most layers is above {LARGE:g} of the weights "
    f"that they began with; or updates of more than {_MOVES:g} of the weights go with a loss that "
    f"ends more than {_BACK:.0%} of its way down above its lowest, or goes more than "
    f"{_TO_AND_FRO:g} times that way in all, beyond what noise between batches would explain.",
    source="Cohen et al. (2021), 'Gradient descent on neural networks typically occurs at the edge "
    "of stability', for λ > 2/η; the other thresholds are rules of thumb.",
    needs=("loss", "update_norm", "parameter_norm"),
    against=("learning rate too small",),
)
