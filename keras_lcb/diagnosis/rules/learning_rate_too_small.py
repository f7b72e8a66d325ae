"""A learning rate at which neither the weights nor the loss change much."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import learning_rate
from keras_lcb.diagnosis.finding import LIKELY, Finding
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_MOVED = 0.05  # sum of the update norms of all of training, over the norm of the weights
_FELL = 0.3  # change of the loss, over the first loss
_UPDATES = 50  # fewest updates


def _look(seen: Observed) -> Iterator[Finding]:
    updates = seen.updates[1] - seen.start
    if updates < _UPDATES:
        raise CannotTell(f"The run has {updates} updates, but the rule needs {_UPDATES}.")
    counts = np.diff(seen.steps, prepend=seen.start)[:, None]
    moved = float(np.nansum(seen.ratio[:, seen.kernels] * counts, axis=0).max(initial=0.0))
    loss = seen.loss[np.isfinite(seen.loss)]
    if loss.min() <= 0:
        raise CannotTell("The loss is not positive, so its fall cannot be told in percent.")
    fell = float(1 - loss[-1] / loss[0])
    went = "fell" if fell >= 0 else "rose"
    if not (0 < moved < _MOVED and abs(fell) < _FELL):
        return
    yield Finding(
        layers=(),
        updates=seen.updates,
        says=f"{updates:,} updates together can have changed no layer by more than {moved:.1%} of "
        f"the norm of its weights, and the loss {went} by {abs(fell):.1%}.",
        evidence={"sum of update norms over weights": moved, "relative fall of the loss": fell},
        sure=LIKELY,
        try_next=(learning_rate(100.0 if moved < _MOVED / 10 else 10.0, seen.rate),),
    )


RULE = Rule(
    look=_look,
    says=f"all updates together cannot have changed a layer by more than {_MOVED:.0%} of the norm "
    f"of its weights, and the loss changed by less than {_FELL:.0%}.",
    source="A rule of thumb: about 0.001 an update is usual, says Karpathy's CS231n, 'Ratio of "
    "weights: updates'.",
    needs=("loss", "update_norm", "parameter_norm"),
    records=3,
    against=("learning rate too large",),
)
