"""Builds a model on given samples, where it is measured before `fit` would build it."""

from __future__ import annotations

import keras

from keras_lcb.backend import internals
from keras_lcb.landscape.samples import Samples
from keras_lcb.training.layers import plain_reason


def build_on(model: keras.Model, data: Samples, purpose: str) -> None:
    """Builds a model, as the first step of `fit` would, without computing anything.

    The layers are built in the order of their calls, so the same seed gives the same weights as in
    `fit`.

    Args:
        model: A model of any kind.
        data: Samples that the model takes.
        purpose: What needs the model, for the error.

    Raises:
        ValueError: If the model cannot be called on the samples.
    """
    x, *_ = data.parts[0]
    try:
        internals.build_layers(model, (x, None, None))
    except Exception as error:  # the model's `call` is the user's code and may raise anything
        raise ValueError(
            f"{purpose} needs a model whose variables exist, and '{model.name}' could not be built "
            f"by a call on the samples that {purpose} received ({plain_reason(error)}). Build the "
            "model before `fit`: call it, or each of its parts, on one batch."
        ) from error
