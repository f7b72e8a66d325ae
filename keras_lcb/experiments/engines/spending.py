"""Where depth pays: parameters, or larger learning rates, spent shallow, evenly or deep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import xarray as xr

from keras_lcb import vision
from keras_lcb.runs import schema
from keras_lcb.runs.block_names import block_name
from keras_lcb.training.layerwise_model import LayerwiseModel
from keras_lcb.vision.experiment import compiled_model

# Channels of six convolutions; the networks have the same number of parameters within 1 %.
WIDTHS = {
    "shallow": (25, 22, 16, 12, 9, 8),
    "even": (16, 16, 16, 16, 16, 16),
    "deep": (8, 9, 12, 16, 22, 25),
}
BASE_RATES = (0.5, 1.0, 2.0)  # times the given one; the best on validation images is taken
FACTOR = 2.0  # by which layers of one half learn faster

Build = Callable[[vision.Config, Any], keras.Model]


def parameters(config: vision.Config) -> xr.Dataset:
    """Trains networks with the same number of parameters, most of them shallow, even, or deep.

    Returns:
        A run of one record with `test_loss` and `test_accuracy` (variant).
    """
    return _compared(config, {name: _with_widths(widths) for name, widths in WIDTHS.items()})


def rates(config: vision.Config) -> xr.Dataset:
    """Trains a network whose shallow half, no half, or deep half learns at twice the rate.

    Returns:
        A run of one record with `test_loss` and `test_accuracy` (variant).
    """
    return _compared(config, {name: _with_faster(name) for name in ("shallow", "even", "deep")})


def _compared(config: vision.Config, variants: Mapping[str, Build]) -> xr.Dataset:
    data = vision.load(
        config.data, batch_size=config.batch_size, seed=config.seed, **config.data_arguments
    )
    parts = zip(*data.validation.as_numpy_iterator(), strict=True)
    held_out = [np.concatenate(part) for part in parts]
    choosing, testing = ([part[start::2] for part in held_out] for start in (0, 1))
    best = {}
    for name, build in variants.items():
        models = [_trained(build, config, factor, data) for factor in BASE_RATES]
        losses = [_scores(model, choosing)["loss"] for model in models]
        best[name] = _scores(models[int(np.nanargmin(losses))], testing)
    return _as_run(config, best)


def _trained(build: Build, config: vision.Config, factor: float, data: Any) -> keras.Model:
    own = dataclasses.replace(config, learning_rate=factor * config.learning_rate)
    model = build(own, data)
    model.fit(
        data.train.repeat().prefetch(tf.data.AUTOTUNE),
        steps_per_epoch=config.updates,
        shuffle=False,
        verbose=0,
    )
    return model


def _scores(model: keras.Model, held_out: list[np.ndarray]) -> dict[str, float]:
    logits = model.predict(held_out[0], batch_size=512, verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(held_out[1], logits, from_logits=True)
    right = np.argmax(logits, axis=1) == held_out[1]
    loss = float(np.mean(keras.ops.convert_to_numpy(losses)))
    return {"loss": loss, "accuracy": float(right.mean())}


def _with_widths(widths: tuple[int, ...]) -> Build:
    def build(config: vision.Config, data: Any) -> keras.Model:
        inputs = x = keras.Input(data.shape)
        seeds = np.random.SeedSequence(config.seed).generate_state(len(widths) + 1).tolist()
        for place, width in enumerate(widths):
            initializer = keras.initializers.HeNormal(seeds[place])
            x = keras.layers.Conv2D(
                width, 3, padding="same", activation=None, kernel_initializer=initializer
            )(x)
            if config.normalization:
                x = keras.layers.BatchNormalization()(x)
            x = keras.layers.ReLU()(x)
            if place == 1:
                x = keras.layers.AveragePooling2D(2)(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        initializer = keras.initializers.GlorotUniform(seeds[-1])
        outputs = keras.layers.Dense(data.classes, kernel_initializer=initializer)(x)
        return _compiled_like(keras.Model(inputs, outputs), compiled_model(config, data))

    return build


def _with_faster(half: str) -> Build:
    def build(config: vision.Config, data: Any) -> keras.Model:
        model = compiled_model(config, data)
        if half == "even":
            return _compiled_like(model, model)
        hidden = [layer.name for layer in model.layers if layer.weights][:-1]
        blocks = list(dict.fromkeys(block_name(name) for name in hidden))
        middle = len(blocks) // 2
        faster = set(blocks[:middle] if half == "shallow" else blocks[middle:])
        factors = {name: FACTOR for name in hidden if block_name(name) in faster}
        layerwise = LayerwiseModel.from_model(model, learning_rate_multipliers=factors)
        return _compiled_like(layerwise, model)

    return build


def _compiled_like(model: keras.Model, other: keras.Model) -> keras.Model:
    # On TensorFlow, XLA would take longer to compile than it saves in some hundred updates.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    # The optimizer of `other` has variables for the weights of `other`, not for these.
    optimizer = type(other.optimizer).from_config(other.optimizer.get_config())
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, other.loss, jit_compile=jit)
    return model


def _as_run(config: vision.Config, best: Mapping[str, Mapping[str, float]]) -> xr.Dataset:
    run = xr.Dataset(
        {
            f"test_{name}": ("variant", [scores[name] for scores in best.values()])
            for name in ("loss", "accuracy")
        },
        {"variant": list(best)},
        schema.attributes({}),
    )
    return schema.of_experiment(run, __name__, config)
