"""`fit_in_stages`: one `fit` for each stage of a training in which layers freeze."""

from __future__ import annotations

import contextlib
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.freezing.freeze_converged import FreezeConverged
from keras_lcb.freezing.frozen import frozen_of
from keras_lcb.freezing.one_training import OneTraining


def fit_in_stages(
    model: keras.Model, x: Any, y: Any, freeze: FreezeConverged, **fit_arguments: Any
) -> keras.callbacks.History:
    """Trains a model as `model.fit` does, with one `fit` for each set of frozen layers.

    All callbacks see a single training. With `FreezeConverged(cache=True)` what the frozen layers
    make of each sample is computed once a stage and kept, so that their forward pass is saved,
    too; the results are the same but for rounding.

    Args:
        model: A compiled model.
        x: Inputs, as `fit` takes them; arrays, or a list of arrays, for a cache.
        y: Targets; `None` for a data set.
        freeze: Which layers freeze, and when.
        **fit_arguments: Of `model.fit`.

    Returns:
        One `History` for the whole training.

    Raises:
        ValueError: If `freeze` is none; for a cache, if samples are not known one by one, or the
            model cannot be cut.

    Example:
    >>> import numpy as np
    >>> dense = [keras.layers.Dense(4, name=name) for name in ("a", "b", "c")]
    >>> model = keras.Sequential([keras.Input((2,)), *dense])
    >>> model.compile("sgd", "mse")
    >>> freeze = FreezeConverged("linear", start=0.5, cache=True)
    >>> history = fit_in_stages(
    ...     model, np.ones((8, 2)), np.zeros((8, 4)), freeze, epochs=4, verbose=0
    ... )
    >>> history.epoch
    [0, 1, 2, 3]
    """
    if not isinstance(freeze, FreezeConverged):
        raise ValueError(
            f"`freeze` is a keras_lcb.FreezeConverged; received {type(freeze).__name__}."
        )
    history, callbacks = _callbacks(fit_arguments.pop("callbacks", None), freeze)
    epoch = fit_arguments.pop("initial_epoch", 0)
    finalize = model.optimizer.finalize_variable_values
    training = OneTraining(
        callbacks,
        is_stage_over=lambda epochs: freeze.frozen_units(epochs) != frozen,
        finalize=lambda: finalize(model.trainable_weights),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(frozen_of(model).thaw)
        stack.callback(training.close)
        stack.enter_context(freeze.in_stages())
        # Averages take the place of weights after the last stage, not after each.
        later = {"finalize_variable_values": lambda variables: None}
        stack.enter_context(internals.replaced(model.optimizer, later))
        while not training.ended:
            frozen = freeze.freeze_for(epoch) if training.epoch else 0
            model.fit(x, y, initial_epoch=epoch, callbacks=[training], **fit_arguments)
            epoch = training.epoch
    model.history = history
    return history


def _callbacks(given: Any, freeze: FreezeConverged) -> tuple[keras.callbacks.History, list[Any]]:
    """Returns the history, and all callbacks with it and `freeze` among them."""
    callbacks = [each for each in keras.tree.flatten(given or []) if each is not freeze]
    found = [each for each in callbacks if isinstance(each, keras.callbacks.History)]
    history = found[0] if found else keras.callbacks.History()
    return history, [*callbacks, freeze, *([] if found else [history])]
