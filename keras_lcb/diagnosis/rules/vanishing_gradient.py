"""Gradients that shrink on their way back to the first layers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import INITIALIZER, NORMALIZATION
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule

_SMALL = 7e-3  # of the largest layer's gradient, entry by entry
_LAYERS = 3

_ACTIVATION = Advice(
    "activation",
    "Take activations that do not saturate, such as ReLU or GELU, with the initialisation that "
    "belongs to them.",
    'keras.layers.Dense(64, "relu", kernel_initializer="he_normal")',
)


def _look(seen: Observed) -> Iterator[Finding]:
    if seen.kernels.sum() < _LAYERS:
        raise CannotTell(f"It takes {_LAYERS} layers with kernels to see a trend over depth.")
    sizes = np.where(seen.kernels, median(seen.gradient_per_entry[seen.part(0, 0.5)], axis=0), 0)
    sizes = np.nan_to_num(sizes)
    if not sizes.any():
        return
    largest = int(np.argmax(sizes))
    shallow = np.arange(len(sizes)) < largest
    small = seen.kernels & shallow & (sizes > 0) & (sizes < _SMALL * sizes[largest])
    if not small.any():
        return
    least = float(sizes[small].min() / sizes[largest])
    layers = seen.named(small)
    yield Finding(
        layers=layers,
        updates=seen.updates,
        says=f"the gradient of {listed(layers)} is down to {least:.1g} of that of "
        f"{seen.layers[largest]}, entry by entry.",
        evidence={"smallest over largest gradient": least},
        sure=LIKELY,
        try_next=(_ACTIVATION, NORMALIZATION, INITIALIZER),
    )


RULE = Rule(
    look=_look,
    says=f"in the first half of training, the RMS entry of a layer's gradient is below {_SMALL:g} "
    "of that of a deeper layer (median over records).",
    source="Hochreiter (1991); Glorot & Bengio (2010), 'Understanding the difficulty of training "
    "deep feedforward neural networks'. The threshold is a rule of thumb.",
    needs=("gradient_norm",),
)
