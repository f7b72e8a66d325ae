"""Training that stopped while the loss still fell, so that its end is no converged endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_MORE = 0.1  # further fall that is expected of a training twice as long, over the fall so far
_NOISE = 2.0  # fall from the third to the fourth quarter, over its standard error
_AT_REST = 0.1  # last learning rate over the largest; below this, a schedule has ended the training

_LONGER = Advice(
    "train longer",
    "Train longer, or let the learning rate fall to zero. Or examine only the first part of the "
    "training; its distances are measured to an endpoint that comes much later.",
    "lcb.convergence_bias(run, until=run.step[-1] // 2)",
)
_REFERENCE = Advice(
    "reference",
    "Measure distances to the weights of a longer training.",
    'lcb.LayerConvergence(reference="longer.weights.h5")',
)


def _look(seen: Observed) -> Iterator[Finding]:
    if seen.attrs.get("reference", "final") not in ("final", "model"):
        raise CannotTell("Distances are measured to given weights, not to the end of training.")
    loss = seen.loss[np.isfinite(seen.loss)]
    if len(loss) < RULE.records:
        raise CannotTell("The run holds too few losses.")
    if _at_rest(seen.rates):
        return
    quarter = len(loss) // 4
    second, third, fourth = loss[-3 * quarter :].reshape(3, quarter).mean(axis=1)
    fall = loss[0] - fourth
    last = third - fourth
    if fall <= 0 or last <= _NOISE * _standard_error(loss, quarter):
        return
    share = float(_expected(second - third, last, fourth) / fall)
    if share < _MORE:
        return
    yield Finding(
        layers=(),
        updates=(int(seen.steps[seen.part(0.5, 1)][0]), seen.updates[1]),
        says=f"the loss was still falling. If it continues to fall as in the last quarters, a "
        f"training twice as long lowers it by another {share:.0%} of its fall so far. So "
        "distances are not measured to converged weights.",
        evidence={
            "expected fall over fall so far": share,
            "share of the fall in the last quarter": float(last / fall),
        },
        sure=LIKELY,
        try_next=(_LONGER, _REFERENCE),
    )


def _at_rest(rates: np.ndarray) -> bool:
    """Returns whether the learning rate of each layer that still trains has come near zero."""
    trains = np.isfinite(rates[-1])
    near_zero = rates[-1] <= _AT_REST * np.fmax.reduce(rates, axis=0)
    return bool(trains.any() and near_zero[trains].all())


def _standard_error(loss: np.ndarray, quarter: int) -> float:
    """Returns the standard error of the difference between the means of two quarters.

    The noise of a single loss is computed from second differences, which a slope does not change.
    """
    noise = np.sqrt(np.mean(np.diff(loss[-2 * quarter :], n=2) ** 2) / 6)
    return float(noise * np.sqrt(2 / quarter))


def _expected(before: float, last: float, now: float) -> float:
    """Returns how far the loss falls in four further quarters if its falls stay in proportion.

    A loss is assumed not to fall below 0 if it is above.
    """
    ratio = min(1.0, last / before) if before > 0 else 1.0
    further = last * sum(ratio**quarter for quarter in range(1, 5))
    return min(further, now) if now > 0 else further


RULE = Rule(
    look=_look,
    says="from quarter to quarter of training, the mean loss falls in such proportions that it "
    f"would fall by another {_MORE:.0%} of its fall so far in a training twice as long; the last "
    "fall is more than noise, and no schedule has brought the learning rate near zero.",
    source="A rule of thumb of this package: a geometric extrapolation of the loss.",
    needs=("loss", "normalized_distance"),
    records=8,
    at_end=True,
)
