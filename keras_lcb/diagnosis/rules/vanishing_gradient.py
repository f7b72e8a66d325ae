"""Gradients that shrink from the last layers back to the first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_lcb.diagnosis.advice import INITIALIZER, NORMALIZATION
from keras_lcb.diagnosis.finding import LIKELY, Advice, Finding, listed
from keras_lcb.diagnosis.observed import Observed, median
from keras_lcb.diagnosis.rule import CannotTell, Rule

# RMS entry of a gradient, over that of the layer with the largest.
_SMALL = 0.015  # in the first update
_LATER = 1e-3  # median over records; trained layers have very different gradients, too
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
    at_first = seen.first_gradient / np.sqrt(seen.parameters)
    half = seen.part(0, 0.5)
    later = median(seen.gradient_per_entry[half], axis=0)
    until = int(seen.steps[half][-1])
    for sizes, bound, updates, when in (
        (at_first, _SMALL, (0, seen.updates[0]), "at the start"),
        (later, _LATER, (seen.updates[0], until), "in the first half of training"),
    ):
        sizes = np.nan_to_num(np.where(seen.kernels, sizes, 0))
        largest = int(np.argmax(sizes))
        shallow = np.arange(len(sizes)) < largest
        # A layer may have a small gradient for another reason, such as the queries of attention.
        # A gradient that vanishes is small in all shallower layers, too.
        up_to_here = np.maximum.accumulate(sizes)
        small = shallow & (sizes > 0) & (up_to_here < bound * sizes[largest])
        if small.any():
            least = float(sizes[small].min() / sizes[largest])
            layers = seen.named(small)
            yield Finding(
                layers=layers,
                updates=updates,
                says=f"{when}, the entries of the gradient of {listed(layers)} are as small as "
                f"{least:.1g} times those of {seen.layers[largest]}.",
                evidence={"smallest over largest gradient": least},
                sure=LIKELY,
                try_next=(_ACTIVATION, NORMALIZATION, INITIALIZER),
            )
            return


RULE = Rule(
    look=_look,
    says=f"at the first update (or its RMS up to the first record), the RMS entry of a layer's "
    f"gradient and of all shallower layers' is below {_SMALL:g} times that of a deeper layer, or "
    f"below {_LATER:g} times in the first half of training (median over records).",
    source="Hochreiter (1991); Glorot & Bengio (2010), 'Understanding the difficulty of training "
    "deep feedforward neural networks'. The thresholds are rules of thumb.",
    needs=("gradient_norm",),
)
