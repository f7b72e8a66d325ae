"""Builds networks, sound ones or with a planted fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.planted.setting import Setting

_KEEPS_HALF = (
    "relu",
    "leaky_relu",
    "gelu",
)  # of the signal's energy, so initial weights must be larger


class _Parts:
    """Makes the layers of one network."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._seeds = iter(np.random.SeedSequence(setting.seed).generate_state(200).tolist())

    def kernel(self, activation: str | None) -> keras.initializers.Initializer:
        own = self.setting
        scale = (2.0 if activation in _KEEPS_HALF else 1.0) * own.gain**2
        mode = "fan_in" if activation in _KEEPS_HALF else "fan_avg"
        return keras.initializers.VarianceScaling(scale, mode, seed=next(self._seeds))

    def block(self, x: Any, name: str, convolution: bool = False, norm: bool = True) -> Any:
        """Applies a layer, a normalization if the setting has one, and the activation."""
        own, before = self.setting, x
        initial = keras.initializers.Constant(own.bias)
        normalized = own.normalization and norm
        options = {"kernel_initializer": self.kernel(own.activation), "name": name}
        options |= {} if normalized else {"bias_initializer": initial}
        if convolution:
            x = keras.layers.Conv2D(own.width, 3, padding="same", **options)(x)
        else:
            x = keras.layers.Dense(own.width, **options)(x)
        if normalized:
            kind = (
                keras.layers.BatchNormalization if convolution else keras.layers.LayerNormalization
            )
            x = kind(beta_initializer=initial, name=f"{name}_norm")(x)
        x = keras.layers.Activation(own.activation, name=f"{name}_act")(x)
        return keras.layers.Add()([before, x]) if own.residual and before.shape == x.shape else x

    def linear(self, x: Any, units: int, name: str) -> Any:
        return keras.layers.Dense(units, kernel_initializer=self.kernel(None), name=name)(x)

    def cut(self, x: Any, place: int, after: int) -> Any:
        """Stops the gradient after the block at place `after`, if the setting has this fault."""
        if self.setting.cut and place == after:
            return keras.ops.stop_gradient(x)
        return x


def _mlp(x: Any, parts: _Parts) -> Any:
    x = keras.layers.Flatten()(x)
    for place in range(parts.setting.depth):
        x = parts.cut(parts.block(x, f"block_{place}"), place, parts.setting.depth // 2)
    return x


def _cnn(x: Any, parts: _Parts) -> Any:
    for place in range(parts.setting.depth):
        x = parts.cut(parts.block(x, f"block_{place}", True), place, parts.setting.depth // 2)
        if place == 1:
            x = keras.layers.AveragePooling2D(2)(x)
    return keras.layers.GlobalAveragePooling2D()(x)


def _tokens(x: Any, parts: _Parts) -> Any:
    """Makes a token from each row of an image."""
    x = keras.layers.Reshape((8, 8))(x)
    return parts.linear(x, parts.setting.width, "stem")


def _transformer(x: Any, parts: _Parts) -> Any:
    own = parts.setting
    x = _tokens(x, parts)
    for place in range(own.depth):
        name = f"block_{place}"
        for kind in ("attention", "mlp"):
            before = x
            if own.normalization:
                x = keras.layers.LayerNormalization(name=f"{name}_{kind}_norm")(x)
            x = _attention(x, parts, name) if kind == "attention" else _two_layers(x, parts, name)
            x = keras.layers.Add()([before, x]) if own.residual else x
        x = parts.cut(x, place, 0)
    if own.normalization:
        x = keras.layers.LayerNormalization(name="last_norm")(x)
    return keras.layers.Flatten()(x)


def _attention(x: Any, parts: _Parts, name: str) -> Any:
    """Applies attention with a single head."""
    width = parts.setting.width
    query, key, value = (parts.linear(x, width, f"{name}_{of}") for of in ("query", "key", "value"))
    weights = keras.ops.softmax(
        keras.ops.matmul(query, keras.ops.transpose(key, (0, 2, 1))) / width**0.5
    )
    return parts.linear(keras.ops.matmul(weights, value), width, f"{name}_output")


def _two_layers(x: Any, parts: _Parts, name: str) -> Any:
    own = parts.setting
    plain = _Parts(own.but(residual=False, normalization=False, seed=own.seed + 7919))
    return parts.linear(plain.block(x, f"{name}_mlp1"), own.width, f"{name}_mlp2")


def _mixer(x: Any, parts: _Parts) -> Any:
    """Alternates between dense layers along the tokens and along the features."""
    x = _tokens(x, parts)
    for place in range(parts.setting.depth):
        x = parts.block(x, f"block_{place}_mix")
        x = keras.layers.Permute((2, 1))(x)
        x = parts.linear(x, 8, f"block_{place}_tokens")
        x = keras.layers.Permute((2, 1))(x)
        x = parts.cut(x, place, 0)
    return keras.layers.Flatten()(x)


_BODIES = {"mlp": _mlp, "cnn": _cnn, "transformer": _transformer, "mixer": _mixer}


def build(setting: Setting, shape: tuple[int, ...], outputs: int) -> keras.Model:
    """Builds the network of a setting, without compiling it."""
    parts = _Parts(setting)
    keras.config.set_dtype_policy(setting.precision)
    try:
        inputs = keras.Input(shape)
        x = _BODIES[setting.network](inputs, parts)
        head = keras.layers.Dense(
            outputs, kernel_initializer=parts.kernel(None), dtype="float32", name="head"
        )
        return keras.Model(inputs, head(x))
    finally:
        keras.config.set_dtype_policy("float32")


def part(model: keras.Model, name: str) -> list[keras.layers.Layer]:
    """Returns the layers that a text names: a part, such as "all", or names between commas."""
    hidden = list(_hidden(model))
    names = {layer.name for layer in model.layers}
    return {
        "all": hidden,
        "every": [layer for layer in model.layers if layer.weights],
        "normalized": [layer for layer in hidden if f"{layer.name}_norm" in names],
        "first half": hidden[: (len(hidden) + 1) // 2],
        "middle": hidden[len(hidden) // 2 : len(hidden) // 2 + 1],
    }.get(name) or [layer for layer in model.layers if layer.name in name.split(",")]


def _hidden(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if layer.name != "head" and any(len(v.shape) > 1 for v in layer.weights):
            yield layer
