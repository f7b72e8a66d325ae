"""The norm of each layer's gradient at the very first update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.quantities.step_quantity import State, StepQuantity


class FirstGradient(StepQuantity):
    """‖∇θ‖₂ at the first update that is measured, with θ all of a layer's variables.

    It tells of the initialisation even where training is lost before the first record. Only that
    record holds it; later ones are NaN. It keeps one number a variable on the device.

    Example:
    >>> import numpy as np
    >>> from keras_lcb import StepQuantities
    >>> layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="lin")
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> model.compile(keras.optimizers.SGD(1e30), "mse")
    >>> first = StepQuantities(FirstGradient())
    >>> x, y = np.ones((8, 1)), np.zeros((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[first])
    >>> float(first.results.first_gradient.sel(layer="lin")[-1])  # 2x(wx - y)
    2.0
    """

    name = "first_gradient"
    long_name = "gradient norm at the first update"
    numbers = 2  # the squared norm at the first update, and how many variables it is of

    def init(self, variable: keras.Variable) -> State:
        """Keeps whether the first update is past."""
        return (keras.ops.zeros(()),)

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Takes the gradient of the first update."""
        first = state[0] == 0
        gradient = keras.ops.cast(gradient, "float32")
        square = keras.ops.where(first, keras.ops.sum(gradient * gradient), 0.0)
        return (keras.ops.ones_like(state[0]),), (square, keras.ops.cast(first, "float32"))

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Returns the norm; NaN for records after the first."""
        square, variables = sums
        return math.sqrt(square) if variables and square >= 0 else math.nan
