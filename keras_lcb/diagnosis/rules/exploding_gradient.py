"""Gradients that are very large at the start, or suddenly become so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import CLIPPING, INITIALIZER, NORMALIZATION
from keras_lcb.diagnosis.finding import LIKELY, Finding, listed
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import CannotTell, Rule

_LARGE = 8.0  # gradient over weights
_SPIKE = 100.0  # gradient over its median at the records before


def _look(seen: Observed) -> Iterator[Finding]:
    if not (seen.has("gradient_norm") and np.isfinite(seen.weights_before).any()):
        raise CannotTell(
            "The rule needs gradient_norm and parameter_norm, which Diagnosis records."
        )
    norms = np.where(seen.kernels, seen.of("gradient_norm"), np.nan)
    # Layers that begin at zero have no length to compare with.
    weights = np.where(seen.weights_before[0] > 0, seen.weights_before[0], np.nan)
    first = np.where(seen.kernels, seen.first_gradient, np.nan) / weights
    large = np.nan_to_num(first) > _LARGE
    if large.any():
        layers = seen.named(large)
        most = float(np.nanmax(first))
        yield Finding(
            layers=layers,
            updates=(0, seen.updates[0]),
            says=f"at the start, the gradient of {listed(layers)} is up to {most:.3g} times as "
            "long as the weights of the layer.",
            evidence={"gradient over weights": most},
            sure=LIKELY,
            try_next=(INITIALIZER, NORMALIZATION, CLIPPING),
        )
        return
    yield from _spikes(seen, norms)


def _spikes(seen: Observed, norms: np.ndarray) -> Iterator[Finding]:
    """Finds the first record at which a gradient is far above its median so far."""
    import pandas as pd

    usual_before = pd.DataFrame(norms).expanding().median().to_numpy()[:-1]
    for place in range(3, len(norms)):
        usual = np.where(usual_before[place - 1] > 0, usual_before[place - 1], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            leap = np.where(np.isfinite(norms[place]), norms[place] / usual, 0.0)
        leaping = np.nan_to_num(leap) > _SPIKE
        if leaping.any():
            layers, step = seen.named(leaping), int(seen.steps[place])
            most = float(np.nanmax(leap))
            yield Finding(
                layers=layers,
                updates=(step, step),
                says=f"shortly before update {step:,}, the gradient of {listed(layers)} jumps to "
                f"{most:.3g} times its usual size.",
                evidence={"gradient over its median before": most},
                sure=LIKELY,
                try_next=(CLIPPING, INITIALIZER),
            )
            return


RULE = Rule(
    look=_look,
    says=f"the first gradient of a layer (or its RMS up to the first record) is more than "
    f"{_LARGE:g} times as long as the weights, or a later one is more than {_SPIKE:g} times as "
    "long as the median so far.",
    source="Pascanu, Mikolov & Bengio (2013), 'On the difficulty of training recurrent neural "
    "networks'. The thresholds are rules of thumb, which assume a loss of usual size.",
)
