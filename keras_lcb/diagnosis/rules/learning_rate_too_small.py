"""A learning rate at which nothing happens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import learning_rate
from keras_lcb.diagnosis.finding import LIKELY, Finding
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule

_MOVED = 0.05  # of the weights, over all of training
_FELL = 0.3  # of the first loss
_UPDATES = 50


def _look(seen: Observed) -> Iterator[Finding]:
    updates = seen.updates[1]
    if updates < _UPDATES:
        raise CannotTell(f"{updates} updates are too few: it takes {_UPDATES}.")
    ratios = np.where(seen.kernels, median(seen.ratio, axis=0), np.nan)
    if not np.isfinite(ratios).any():
        return
    moved = float(np.nanmax(ratios)) * updates
    loss = seen.loss[np.isfinite(seen.loss)]
    fell = float(1 - loss[-1] / loss[0]) if loss[0] > 0 else 0.0
    if not (0 < moved < _MOVED and abs(fell) < _FELL):
        return
    yield Finding(
        layers=(),
        updates=seen.updates,
        says=f"{updates:,} updates could move no layer by more than {moved:.1%} of its weights, "
        f"and the loss fell by {fell:.1%}.",
        evidence={"most that a layer could move": moved, "loss fell by": fell},
        sure=LIKELY,
        try_next=(learning_rate(100.0 if moved < _MOVED / 10 else 10.0, seen.rate),),
    )


RULE = Rule(
    look=_look,
    says=f"all updates together could move no layer by more than {_MOVED:.0%} of its weights, and "
    f"the loss fell by less than {_FELL:.0%}.",
    source="A rule of thumb: about 0.001 an update is usual, says Karpathy's CS231n, 'Ratio of "
    "weights: updates'.",
    needs=("loss", "update_norm", "parameter_norm"),
    records=3,
    against=("learning rate too large",),
)
