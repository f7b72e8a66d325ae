"""A learning rate at which the loss is unstable."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_lcb.diagnosis.advice import CLIPPING, WARM_UP, learning_rate, towards
from keras_lcb.diagnosis.extra_evidence import stability
from keras_lcb.diagnosis.finding import LIKELY, POSSIBLE, Finding
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule
from keras_lcb.diagnosis.rules.updates_too_large import (
    MANY,
    layers_apart,
    most_are_too_large,
    typical,
)

# The fall of a loss is its first value minus its lowest.
_RISE = 0.3  # rise from the lowest loss to the end, over the fall
_ALL_CHANGES = 3.0  # sum of all changes of the loss, up and down, over the fall
_MOVES = 0.01  # update over weights; below this, changes of the loss are noise between batches
_ABOVE = 1.5  # end over lowest loss; below this, the rise may be noise
_CHANGE = 0.5  # usual change over loss; below this, the changes may be noise
_USUAL = 0.05  # update over weights at a usual learning rate
_DIED = 0.5  # share of the units of the median hidden layer that died in training
_KILLS = 0.1  # update over weights; below this, units may have died for other reasons
_RECORDS = 12  # fewest losses
_TINY = 1e-30


def _look(seen: Observed) -> Iterator[Finding]:
    if not (seen.has("update_norm") and seen.has("parameter_norm") and len(seen.steps)):
        raise CannotTell("The rule needs update_norm and parameter_norm, which Diagnosis records.")
    evidence = _signs(seen)
    moves = evidence["largest update over weights"]
    what = _what(seen, evidence)
    if not what:
        if "rise over fall of the loss" not in evidence:
            raise CannotTell(
                f"The run holds {np.isfinite(seen.loss).sum()} finite losses, but the rule needs "
                f"{_RECORDS}. Record more often (`every=`), or train longer."
            )
        return
    evidence |= stability(seen)
    beyond = evidence.get("curvature over largest stable curvature", 0.0) > 1
    yield Finding(
        layers=(),
        updates=seen.updates,
        says=f"{what}{', and the curvature is too large for this rate' if beyond else ''}.",
        evidence=evidence,
        sure=LIKELY if most_are_too_large(seen) or beyond else POSSIBLE,
        try_next=(
            learning_rate(min(0.01 if _broken(seen) else 0.1, towards(_USUAL, moves)), seen.rate),
            WARM_UP,
            CLIPPING,
        ),
    )


def _what(seen: Observed, evidence: dict[str, float]) -> str:
    """Returns what shows that the learning rate is too large; empty if nothing does."""
    if most_are_too_large(seen):
        return f"updates changed most layers by more than {MANY:g} of the norm of their weights"
    moves = evidence["largest update over weights"]
    died = evidence.get("units that died", 0.0)
    if moves > _KILLS and died >= _DIED:
        return f"large updates left {died:.0%} of the units of most hidden layers without gradient"
    if moves > _MOVES and _rises_or_oscillates(evidence):
        return "the loss goes up and down, or ends far above its lowest value"
    if _broken(seen) and not layers_apart(seen).any():
        return (
            "the first gradient was finite, but updates led to NaN or infinity at update "
            f"{_broken(seen):,}"
        )
    return ""


def _broken(seen: Observed) -> int:
    """Returns the update at which NaN or infinity began; 0 if it was the first, or if none is."""
    first = int(seen.attrs.get("first_nonfinite_update", -1))
    return first if first > 1 and np.isfinite(seen.first_gradient).any() else 0


def _rises_or_oscillates(evidence: dict[str, float]) -> bool:
    """Returns whether the loss rises or oscillates more than noise between batches explains."""
    rises = evidence.get("rise over fall of the loss", 0.0) > _RISE
    swings = evidence.get("all changes over fall of the loss", 0.0) > _ALL_CHANGES
    return (rises and evidence["end over lowest loss"] > _ABOVE) or (
        swings and evidence["usual change over loss"] > _CHANGE
    )


def _signs(seen: Observed) -> dict[str, float]:
    """Returns the size of the updates, and how the loss changed, by name."""
    signs = {"largest update over weights": typical(seen)} | _died(seen)
    loss = seen.loss[np.isfinite(seen.loss)]
    if len(loss) >= _RECORDS:
        lowest = float(np.median(sliding_window_view(loss, 3), axis=1).min())
        fall = max(loss[0] - lowest, 1e-3 * abs(loss[0]), _TINY)
        # Ratios of losses mean something for positive ones only.
        size = np.where(loss.min() > 0, [lowest, np.median(loss)], np.nan)
        end = np.median(loss[-max(1, len(loss) // 4) :])
        changes = np.abs(np.diff(loss))
        with np.errstate(over="ignore"):
            signs["rise over fall of the loss"] = float((end - lowest) / fall)
            signs["end over lowest loss"] = float(end / size[0])
            signs["all changes over fall of the loss"] = float(changes.sum() / fall)
            signs["usual change over loss"] = float(np.mean(changes) / size[1])
    return signs


def _died(seen: Observed) -> dict[str, float]:
    """Returns the share of units that died in training, of the median hidden layer; or nothing."""
    dead = seen.of("dead_units")[:, seen.hidden]
    if not np.isfinite(dead[0]).any():
        return {}
    return {"units that died": float(median(median(dead[seen.part(0.75, 1)], axis=0) - dead[0]))}


RULE = Rule(
    look=_look,
    says=f"between two records, the RMS update of the median layer is above {MANY:g} of the norm "
    f"of its weights; or it is above {_KILLS:g} of it, and at least {_DIED:.0%} of the units of "
    "the median hidden layer die in training, so that their gradient is zero; or it is above "
    f"{_MOVES:g} of it, and the loss rises again by more than {_RISE:.0%} of its fall, or its "
    f"changes add up to more than {_ALL_CHANGES:g} times its fall, which noise between batches "
    "does not explain; or updates led to NaN or infinity after finite gradients.",
    source="Cohen et al. (2021), 'Gradient descent on neural networks typically occurs at the edge "
    "of stability', for λ > 2/η; the other thresholds are rules of thumb.",
    records=0,
    against=("learning rate too small",),
)
