"""What it costs to freeze one layer early: a measure of convergence without any endpoint."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import xarray as xr

from keras_lcb import vision
from keras_lcb.callbacks import LayerConvergence
from keras_lcb.runs import schema
from keras_lcb.training.layerwise_model import LayerwiseModel
from keras_lcb.vision.experiment import compiled_model

BEFORE = 0.25  # of the updates, after which a layer is frozen
COST = "loss_if_frozen"


def run(config: vision.Config) -> xr.Dataset:
    """Trains once with all layers, and once with each layer frozen after a quarter of the updates.

    All go on from the same weights, state of the optimizer and order of images, so that they
    differ in the frozen layer only, which stays as it is bit for bit.

    Returns:
        A run with `loss`, that of the training images at the end, and `loss_if_frozen` (layer),
        the same with that layer frozen; NaN for layers without a kernel.
    """
    data = vision.load(config.data, batch_size=config.batch_size, seed=0, **config.data_arguments)
    batches = zip(*data.train.as_numpy_iterator(), strict=True)
    images, labels = (np.concatenate(part) for part in batches)
    model = _layerwise(compiled_model(config, data))
    order = _order(len(images), config)
    early = round(BEFORE * config.updates)
    convergence = LayerConvergence()
    _fit(model, images, labels, order[:early], convergence)
    state = [keras.ops.convert_to_numpy(variable) for variable in _state(model)]
    names = [layer.name for layer in model.layers if _has_kernel(layer)]
    losses = {}
    for frozen in ["", *names]:
        for variable, value in zip(_state(model), state, strict=True):
            variable.assign(value)
        for name in names:
            model.learning_rate_multipliers[name] = 0.0 if name == frozen else 1.0
        _fit(model, images, labels, order[early:])
        losses[frozen] = model.evaluate(images, labels, batch_size=256, verbose=0)
    return _as_run(convergence.results, losses, config)


def _layerwise(model: keras.Model) -> LayerwiseModel:
    layerwise = LayerwiseModel.from_model(model)
    layerwise.compile(model.optimizer, model.loss)
    return layerwise


def _order(images: int, config: vision.Config) -> np.ndarray:
    """Which images each update sees, (updates, batch): all once before any is seen again."""
    generator = np.random.default_rng(config.seed)
    seen = config.updates * config.batch_size
    passes = [generator.permutation(images) for _ in range(-(-seen // images))]
    return np.concatenate(passes)[:seen].reshape(config.updates, config.batch_size)


def _fit(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    *callbacks: keras.callbacks.Callback,
) -> None:
    rows = tf.data.Dataset.from_tensor_slices(order)
    batches = rows.map(lambda chosen: (tf.gather(images, chosen), tf.gather(labels, chosen)))
    model.fit(batches, shuffle=False, verbose=0, callbacks=list(callbacks))


def _state(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(len(variable.shape) >= 2 for variable in layer.trainable_variables)


def _as_run(recorded: xr.Dataset, losses: dict[str, float], config: vision.Config) -> xr.Dataset:
    layers = [str(name) for name in recorded["layer"].values]
    costs = [losses.get(name, np.nan) for name in layers]
    told = {"long_name": "loss with this layer frozen after a quarter of the updates", "units": "1"}
    of_layers = [str(name) for name in recorded.coords if "layer" in recorded[name].dims]
    coords: dict[str, Any] = {name: recorded[name].values for name in of_layers}
    coords["step"] = [config.updates]
    run = schema.dataset(
        {"loss": (("step",), [losses[""]]), COST: (("layer",), costs, told)}, coords
    )
    return schema.of_experiment(run, __name__, config)
