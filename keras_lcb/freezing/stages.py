"""`fit_in_stages`: one `fit` for each stage of a training in which layers freeze."""

from __future__ import annotations

import contextlib
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.freezing.cached import CachedActivations
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
        cached = _cache(model, x, freeze, fit_arguments)
        if cached is not None:
            stack.callback(cached.close)
        while not training.ended:
            frozen = freeze.freeze_for(epoch) if training.epoch else 0
            _fit_stage(
                model, x, y, cached, initial_epoch=epoch, callbacks=[training], **fit_arguments
            )
            epoch = training.epoch
    model.history = history
    return history


def _fit_stage(
    model: keras.Model, x: Any, y: Any, cached: CachedActivations | None, **fit_arguments: Any
) -> None:
    if cached is None or not frozen_of(model).variables:
        model.fit(x, y, **fit_arguments)
        return
    cached.advance()
    with internals.replaced(model, cached.stand_ins()):
        internals.forget_compiled(model)
        model.fit(cached.x, y, **fit_arguments)


def _cache(
    model: keras.Model, x: Any, freeze: FreezeConverged, fit_arguments: dict[str, Any]
) -> CachedActivations | None:
    """Returns what keeps activations, if anything does."""
    if freeze.cache is False:
        return None
    if fit_arguments.get("validation_split"):
        raise ValueError(
            "With `cache`, give `validation_data` in place of `validation_split`: what is kept are "
            "activations of training samples, which `fit` cannot divide."
        )
    folder = None if freeze.cache is True else freeze.cache
    return CachedActivations(model, x, fit_arguments.get("batch_size") or 32, folder)


def _callbacks(given: Any, freeze: FreezeConverged) -> tuple[keras.callbacks.History, list[Any]]:
    """Returns the history, and all callbacks with it and `freeze` among them."""
    callbacks = [each for each in keras.tree.flatten(given or []) if each is not freeze]
    found = [each for each in callbacks if isinstance(each, keras.callbacks.History)]
    history = found[0] if found else keras.callbacks.History()
    return history, [*callbacks, freeze, *([] if found else [history])]
