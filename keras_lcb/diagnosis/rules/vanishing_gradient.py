"""Gradients that shrink from the last layers back to the first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import INITIALIZER, NORMALIZATION
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule

_SMALL = 7e-3  # RMS entry of a gradient, over that of the layer with the largest
_LAYERS = 3  # fewest layers

_ACTIVATION = Advice(
    "activation",
    "Use activations that do not saturate, such as ReLU or GELU, with an initializer that suits "
    "them.",
    'keras.layers.Dense(64, "relu", kernel_initializer="he_normal")',
)


def _look(seen: Observed) -> Iterator[Finding]:
    if seen.kernels.sum() < _LAYERS:
        raise CannotTell(f"The rule needs {_LAYERS} layers with kernels to see a trend over depth.")
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
        says=f"the entries of the gradient of {listed(layers)} are as small as {least:.1g} times "
        f"those of {seen.layers[largest]}.",
        evidence={"smallest over largest gradient": least},
        sure=LIKELY,
        try_next=(_ACTIVATION, NORMALIZATION, INITIALIZER),
    )


RULE = Rule(
    look=_look,
    says=f"in the first half of training, the RMS entry of a layer's gradient is below {_SMALL:g} "
    "times that of a deeper layer (median over records).",
    source="Hochreiter (1991); Glorot & Bengio (2010), 'Understanding the difficulty of training "
    "deep feedforward neural networks'. The threshold is a rule of thumb.",
    needs=("gradient_norm",),
)
