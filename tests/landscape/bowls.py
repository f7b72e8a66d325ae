"""Models whose loss is a quadratic function of each layer: bowls with a known Hessian."""

from __future__ import annotations

import keras
import numpy as np


def linear(inputs=4, samples=12, seed=0):
    """Linear least squares: the model, its data, its Hessian.

    The layer `line` has one output and no bias, so that the loss is the mean of (xw − y)², and
    its Hessian 2xᵀx/n. A second layer `scale` multiplies by 1, which leaves it so.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, inputs)).astype("float32").astype("float64")
    y = random.normal(size=(samples, 1)).astype("float32").astype("float64")
    start = keras.Input((inputs,))
    line = keras.layers.Dense(1, use_bias=False, name="line")(start)
    end = keras.layers.Dense(1, use_bias=False, name="scale", kernel_initializer="ones")(line)
    model = keras.Model(start, end)
    model.compile(loss="mse")
    model.get_layer("line").set_weights([random.normal(size=(inputs, 1)).astype("float32")])
    return model, x, y, 2 * x.T @ x / samples


def gradient(x, y, weights):
    """Of the loss of `linear` with respect to its first layer."""
    return 2 * x.T @ (x @ weights - y) / len(x)
