"""How much a layer's gradient varies between updates, relative to its mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.quantities.step_quantity import State, StepQuantity


class GradientNoise(StepQuantity):
    """The variance of the gradient over the updates of a record, divided by its squared mean.

    Let g₁ … gₙ be the gradients of the n updates since the last record, and ḡ their mean. The
    quantity is Σ‖gₜ − ḡ‖² / (n − 1), divided by ‖ḡ‖². Below 1, the mean gradient is larger than the
    differences between batches; above 1, it is smaller. The weights change between updates, and
    this change counts as noise, too. With fewer than two updates, the quantity is NaN. It costs one
    tensor of the size of the weights on the device, and two sums of products in each update.

    Source: the ratio is the simple noise scale of McCandlish et al. (2018), "An empirical model of
    large-batch training", with batches in place of samples.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_lcb import StepQuantities
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> noise = StepQuantities(GradientNoise())
    >>> x, y = np.ones((8, 2)), np.zeros((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[noise])
    >>> bool(noise.results.gradient_noise.sel(layer="lin")[-1] >= 0)
    True
    """

    name = "gradient_noise"
    long_name = "variance of the gradient over its squared mean"
    window = True

    def init(self, variable: keras.Variable) -> State:
        """Returns zeros, the initial sum of the gradients."""
        return (keras.ops.zeros(variable.shape, "float32"),)

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Adds ‖g‖² and the increase of ‖Σg‖², and updates the sum of the gradients."""
        gradient = keras.ops.cast(gradient, "float32")
        square = keras.ops.sum(gradient * gradient)
        growth = 2.0 * keras.ops.sum(state[0] * gradient) + square
        return (state[0] + gradient,), (square, growth)

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Returns the variance divided by the squared mean."""
        squares, square_of_sum = sums
        if updates < 2 or square_of_sum == 0:
            return math.nan
        # Rounding errors can make it negative if all gradients are equal.
        variance = max(squares - square_of_sum / updates, 0.0) / (updates - 1)
        return variance / (square_of_sum / updates**2)
