"""How far each update moves a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class UpdateNorm(StepQuantity):
    """The root mean square over updates of ‖θ(t) − θ(t−1)‖₂, with θ all variables of a layer.

    It costs a copy of the weights and one sum of squares for each variable and update.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> from keras_lcb import StepQuantities
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> norms = StepQuantities(UpdateNorm())
    >>> history = model.fit(np.ones((8, 2)), np.zeros(8), verbose=0, callbacks=[norms])
    >>> bool(norms.results.update_norm.sel(layer="lin")[-1] > 0)
    True
    """

    name = "update_norm"
    long_name = "RMS update norm since the last record"
    needs_weights = True
    of_frozen = 0.0
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
        """Adds the squared distances between the weights before and after an update."""
        return list(states), [ops.squared_distances(after, before)]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns root mean squares; NaN if there was no update."""
        return rms(sums, updates)
