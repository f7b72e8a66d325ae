"""A model's loss as a function of its weights, which leaves the model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.backend import internals


def batch_loss(
    model: keras.Model,
    trainable: Sequence[Any],
    non_trainable: Sequence[Any],
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    training: bool = False,
    metrics: Sequence[Any] = (),
) -> Any:
    """The compiled loss of one batch, penalties included, at given weights.

    Nothing that the call would change is changed: neither the moving statistics of batch
    normalisation, nor the states of random generators (the same states draw the same dropout
    masks), nor metrics. The result can be differentiated with `keras_lcb.backend.ops.gradients`.

    Args:
        model: A built and compiled model.
        trainable: A tensor for each of `model.trainable_variables`.
        non_trainable: A tensor for each of `model.non_trainable_variables`.
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the samples.
        training: Whether layers behave as in training. Defaults to `False`.
        metrics: A tensor for each of `model.metrics_variables`, where these have no values of
            their own (inside a compiled step on JAX).

    Returns:
        A scalar tensor.

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile(loss="mse")
    >>> loss = batch_loss(model, [np.ones((2, 1))], [], np.ones((4, 2)), np.zeros((4, 1)))
    >>> float(loss)
    4.0
    """
    state = [
        *zip(model.trainable_variables, trainable, strict=True),
        *zip(model.non_trainable_variables, non_trainable, strict=True),
    ]
    if metrics:
        state.extend(zip(model.metrics_variables, metrics, strict=True))
    options = {"training": training} if internals.takes_training(model) else {}
    with keras.StatelessScope(state_mapping=state, collect_losses=True):
        predicted = model(x, **options)
        return internals.loss_function_of(model)(
            x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=training
        )
