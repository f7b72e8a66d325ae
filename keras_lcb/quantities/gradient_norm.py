"""The norm of each layer's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class GradientNorm(StepQuantity):
    """The root mean square over updates of ‖∇θ‖₂, where θ are all variables of a layer.

    It costs one sum of squares for each variable and update.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> from keras_lcb import StepQuantities
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> norms = StepQuantities(GradientNorm())
    >>> history = model.fit(np.ones((8, 2)), np.zeros(8), verbose=0, callbacks=[norms])
    >>> bool(norms.results.gradient_norm.sel(layer="lin")[-1] > 0)
    True
    """

    name = "gradient_norm"
    long_name = "RMS gradient norm since the last record"
    takes_sparse = True
    numbers = 1

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Adds the squared norms of the gradients of several variables."""
        return list(states), [ops.squared_norms(gradients)]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns root mean squares; NaN if there was no update."""
        return rms(sums, updates)
