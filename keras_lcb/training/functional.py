"""A model's loss as a pure function of its weights, which does not change the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.training.rnn_states import rnn_states


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
    states: Sequence[Any] = (),
) -> Any:
    """Computes the compiled loss of one batch, penalties included, at given weights.

    The model stays as it is: its moving statistics, its metrics, and the states of its random
    generators do not change, so the next call draws the same dropout masks. The result can be
    differentiated with `keras_lcb.backend.ops.gradients`. It costs one forward pass.

    Args:
        model: A built and compiled model.
        trainable: A tensor for each of `model.trainable_variables`.
        non_trainable: A tensor for each of `model.non_trainable_variables`.
        x: Inputs of the batch.
        y: Targets of the batch. Defaults to `None`.
        sample_weight: Weights of the samples. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `False`.
        metrics: A tensor for each of `model.metrics_variables`. Needed only inside a compiled
            step on JAX, where these variables have no values. Defaults to none.
        states: A tensor for each of `rnn_states(model)`, from which stateful RNNs go on. Defaults
            to none: they go on from their present states.

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
    if states:
        state.extend(zip(rnn_states(model), states, strict=True))
    options = {"training": training} if internals.takes_training(model) else {}
    with keras.StatelessScope(state_mapping=state, collect_losses=True):
        predicted = model(x, **options)
        return internals.loss_function_of(model)(
            x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=training
        )
