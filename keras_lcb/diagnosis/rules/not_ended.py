"""Training that stopped while the loss still fell, so that its end is no converged endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_STILL = 0.12  # fall of the loss from the third to the fourth quarter, over its whole fall

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
    quarter = max(1, len(loss) // 4)
    third, fourth = loss[-2 * quarter : -quarter].mean(), loss[-quarter:].mean()
    way = loss[0] - fourth
    if way <= 0 or third <= fourth:
        return
    share = float((third - fourth) / way)
    if share < _STILL:
        return
    yield Finding(
        layers=(),
        updates=(int(seen.steps[seen.part(0.5, 1)][0]), seen.updates[1]),
        says=f"the loss was still falling: {share:.0%} of its whole fall came from the third to "
        "the fourth quarter of training. So distances are not measured to converged weights.",
        evidence={"share of the fall in the last quarter": share},
        sure=LIKELY,
        try_next=(_LONGER, _REFERENCE),
    )


RULE = Rule(
    look=_look,
    says="from the third to the fourth quarter of training, the mean loss falls by more than "
    f"{_STILL:.0%} of its whole fall.",
    source="A rule of thumb of this package.",
    needs=("loss", "normalized_distance"),
    records=8,
    at_end=True,
)
