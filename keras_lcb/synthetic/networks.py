"""Fully connected networks of one variable, plain or residual."""

from __future__ import annotations

import math
import numbers
from typing import Any, Literal

import keras
import numpy as np

MOST_LAYERS = 64


def build_network(
    depth: int,
    width: int,
    residual: bool = False,
    activation: str = "relu",
    *,
    initializer: Any = "glorot_uniform",
    normalization: Literal["batch", "layer"] | None = None,
    period: float | None = None,
    branch_scale: float | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds a fully connected network that maps (n, 1) to (n, 1).

    Its layers are `layer_0`, `layer_1`, … and a linear `readout`. In a residual network, `layer_0`
    maps the input to the width, h ← layer_0(x), and each later layer adds its output,
    h ← h + layer_l(h). So the sum of the layers' outputs enters the read-out.

    Args:
        depth: Number of hidden layers, 1 to 64.
        width: Units of each hidden layer.
        residual: Whether each layer adds its output to its input. Defaults to `False`.
        activation: Activation of the hidden layers; any that Keras knows. Defaults to `"relu"`.
        initializer: Initializer of the kernels: any that Keras takes, with biases of zero, as in
            Keras; or `"fan_in"`, for kernels and biases uniform in ±1/√(inputs of the layer), as
            in PyTorch. Defaults to `"glorot_uniform"`.
        normalization: `"batch"` or `"layer"` for a normalization between the kernel and the
            activation of each hidden layer. Defaults to `None`.
        period: If given, the network receives (cos 2πx/period, sin 2πx/period) instead of x, and so
            is periodic. Compare with it to see the effect of the borders of the domain. Defaults
            to `None`.
        branch_scale: Factor on the initial kernels of the layers that add their output. 1 leaves
            the kernels unchanged; the output then grows exponentially with depth. Defaults to
            `None`, which means 1/√depth.
        seed: Seed of the initial weights. Defaults to 0.

    Returns:
        A functional model, not compiled.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = build_network(2, 8, residual=True)
        >>> [layer.name for layer in model.layers if layer.weights]
        ['layer_0', 'layer_1', 'readout']
    """
    check_network(depth, width, normalization, period, branch_scale)
    if branch_scale is None:
        branch_scale = depth**-0.5
    seeds = np.random.default_rng(seed).integers(2**31, size=(depth + 1, 2)).tolist()
    inputs = keras.Input((1,), name="x")
    hidden = inputs if period is None else _embedded(inputs, period)
    for index in range(depth):
        layer = keras.layers.Dense(
            width,
            activation=None if normalization else activation,
            name=f"layer_{index}",
            **_initializers(initializer, hidden.shape[-1], seeds[index]),
        )
        out = layer(hidden)
        if normalization:
            out = _NORMALIZATIONS[normalization](name=f"layer_{index}_normalization")(out)
            out = keras.layers.Activation(activation, name=f"layer_{index}_activation")(out)
        if residual and index:
            layer.kernel.assign(layer.kernel * branch_scale)
            out = keras.layers.Add(name=f"sum_{index}")([hidden, out])
        hidden = out
    readout = keras.layers.Dense(
        1, name="readout", **_initializers(initializer, width, seeds[depth])
    )
    kind = "residual" if residual else "plain"
    return keras.Model(inputs, readout(hidden), name=f"{kind}_{depth}x{width}")


_NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
}


def check_network(
    depth: int,
    width: int,
    normalization: str | None,
    period: float | None,
    branch_scale: float | None,
) -> None:
    """Checks the arguments of `build_network`.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if not _is_whole(depth) or not 1 <= depth <= MOST_LAYERS:
        raise ValueError(
            f"`depth` must be a whole number from 1 to {MOST_LAYERS}; received {depth!r}."
        )
    if not _is_whole(width) or width < 1:
        raise ValueError(f"`width` must be a whole number, 1 or more; received {width!r}.")
    if normalization is not None and normalization not in _NORMALIZATIONS:
        raise ValueError(
            f'`normalization` must be "batch", "layer" or None; received {normalization!r}.'
        )
    if period is not None and not (_is_finite(period) and period > 0):
        raise ValueError(
            f"`period` must be a positive number, or None for a network that is not periodic; "
            f"received {period!r}."
        )
    if branch_scale is not None and not (_is_finite(branch_scale) and branch_scale >= 0):
        raise ValueError(
            f"`branch_scale` must be a number, 0 or more, or None; received {branch_scale!r}."
        )


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _embedded(inputs: keras.KerasTensor, period: float) -> keras.KerasTensor:
    """Returns the cosine and the sine of wave number 1."""
    angle = inputs * (2 * np.pi / period)
    both = [keras.ops.cos(angle), keras.ops.sin(angle)]
    return keras.layers.Concatenate(name="periodic")(both)


def _initializers(initializer: Any, inputs: int, seeds: list[int]) -> dict[str, Any]:
    kernel_seed, bias_seed = seeds
    if initializer == "fan_in":
        limit = inputs**-0.5
        return {
            "kernel_initializer": keras.initializers.RandomUniform(-limit, limit, kernel_seed),
            "bias_initializer": keras.initializers.RandomUniform(-limit, limit, bias_seed),
        }
    given = keras.initializers.get(initializer)
    if not isinstance(given, keras.initializers.Initializer):  # a function, which has no seed
        return {"kernel_initializer": given}
    config = given.get_config()
    if "seed" in config:
        config["seed"] = kernel_seed
    return {"kernel_initializer": type(given).from_config(config)}
