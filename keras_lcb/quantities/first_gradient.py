"""The norm of each layer's gradient at the very first update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class FirstGradient(StepQuantity):
    """‖∇θ‖₂ at the first update that is measured, with θ all of a layer's variables.

    It shows the effect of the initialization, even if training diverges before the first record.
    Each record holds the same value. The cost is one number for each variable on the device.

    Example:
    >>> import keras
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
    takes_sparse = True
    numbers = 1

    def init(self, variable: keras.Variable) -> State:
        """Returns −1, for "no update yet". Later, the state is the first squared norm."""
        return (keras.ops.full((), -1.0, ops.ACCUMULATOR_DTYPE),)

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Adds the first squared norms at each update, so that they are also means over updates."""
        known = keras.ops.stack([state[0] for state in states])
        first = keras.ops.where(known < 0, ops.squared_norms(gradients), known)
        return [(first[place],) for place in range(len(states))], [first]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns norms; NaN where there was no update."""
        return rms(sums, updates)
