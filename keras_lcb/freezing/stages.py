"""The function `fit_in_stages`: calls `fit` once for each set of frozen layers."""

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
    """Trains a model like `model.fit`, but calls `fit` once for each set of frozen layers.

    The callbacks see a single training. With `FreezeConverged(cache=True)`, the outputs of frozen
    layers are computed once in each stage and kept, so that their forward pass is saved, too. The
    results are the same except for rounding errors.

    Cost: each stage compiles the training step again. With `cache`, each stage also takes a forward
    pass of the newly frozen layers over all samples, and the memory (or disk space) for the
    activations that the layers above need.

    Each stage iterates anew over a data set. With `steps_per_epoch` and a data set that repeats
    forever, a stage therefore begins with the first batch again, where `fit` would go on with the
    next one. Shuffle such a data set, or leave out `repeat` and `steps_per_epoch`.

    Args:
        model: A compiled model.
        x: Inputs, as `fit` takes them. With `cache`: an array, or a list with an array for each
            input.
        y: Targets, or `None` if `x` is a data set.
        freeze: A `FreezeConverged`, which determines the layers that freeze, and when.
        **fit_arguments: Further arguments of `model.fit`.

    Returns:
        One `History` for the whole training.

    Raises:
        ValueError: If `freeze` is not a `FreezeConverged`, or the model is not compiled. With
            `cache`, also if `x` is not made of arrays, if `validation_split` is given, if the model
            cannot be cut after its frozen layers, or if its class has its own `train_step`,
            `compute_loss` or `compute_metrics`.

    Example:
    >>> import keras
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
            f"`freeze` must be a keras_lcb.FreezeConverged; received {type(freeze).__name__}."
        )
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            f"The model '{model.name}' is not compiled, so `fit_in_stages` cannot train it. Call "
            "`model.compile(optimizer, loss)` first."
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
        # `use_ema` averages must replace the weights only after the last stage.
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
    with internals.replaced(model, cached.replacements()):
        internals.forget_compiled(model)
        model.fit(cached.x, y, **fit_arguments)


def _cache(
    model: keras.Model, x: Any, freeze: FreezeConverged, fit_arguments: dict[str, Any]
) -> CachedActivations | None:
    """Returns the cache of activations, or `None` if the user wants none."""
    if freeze.cache is False:
        return None
    if fit_arguments.get("validation_split"):
        raise ValueError(
            "Received `validation_split` with `cache`. The activations of all samples are kept for "
            "training, so `fit` cannot split them. Pass `validation_data` instead."
        )
    folder = None if freeze.cache is True else freeze.cache
    return CachedActivations(model, x, fit_arguments.get("batch_size") or 32, folder)


def _callbacks(given: Any, freeze: FreezeConverged) -> tuple[keras.callbacks.History, list[Any]]:
    """Returns the history, and the list of all callbacks, which includes it and `freeze`."""
    callbacks = [each for each in keras.tree.flatten(given or []) if each is not freeze]
    found = [each for each in callbacks if isinstance(each, keras.callbacks.History)]
    history = found[0] if found else keras.callbacks.History()
    return history, [*callbacks, freeze, *([] if found else [history])]
