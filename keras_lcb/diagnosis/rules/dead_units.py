"""Units that are zero for every sample, so they have no gradient and never change."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import INITIALIZER, learning_rate
from keras_lcb.diagnosis.extra_evidence import dead_on_data
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule

_SHARE = 0.75  # of the units of a layer

_LEAKY = Advice(
    "activation",
    "Use an activation whose slope is zero nowhere.",
    'keras.layers.Dense(64, "leaky_relu")',
)


def _look(seen: Observed) -> Iterator[Finding]:
    if seen.model is not None:
        shares = dead_on_data(seen)
    elif "dead_units" in seen:
        shares = median(seen.of("dead_units")[seen.part(0.75, 1)], axis=0)
    else:
        raise CannotTell("The run holds no dead_units, which Diagnosis records.")
    norms = seen.of("gradient_norm")
    reached = np.isfinite(norms).any(axis=0) if "gradient_norm" in seen else seen.hidden
    dead = seen.hidden & reached & (np.nan_to_num(shares) >= _SHARE)
    if not dead.any():
        return
    layers, most = seen.named(dead), float(shares[dead].max())
    slower = learning_rate(0.1, seen.rate)
    with np.errstate(invalid="ignore"):
        from_the_start = (seen.of("dead_units")[0][dead] >= _SHARE).any()
    advice = (INITIALIZER, _LEAKY, slower) if from_the_start else (slower, _LEAKY, INITIALIZER)
    yield Finding(
        layers=layers,
        updates=(int(seen.steps[seen.part(0.75, 1)][0]), seen.updates[1]),
        says=f"up to {most:.0%} of the units of {listed(layers)} have no gradient"
        f"{', and this was so from the start' if from_the_start else ''}.",
        evidence={"largest share of dead units": most},
        sure=LIKELY,
        try_next=advice,
    )


RULE = Rule(
    look=_look,
    says=f"at least {_SHARE:.0%} of the units of a hidden layer have no gradient in the last "
    "quarter of training (median over records). With model and data, these data are used instead.",
    source="Lu et al. (2019), 'Dying ReLU and initialization'. The threshold is a rule of thumb.",
)
