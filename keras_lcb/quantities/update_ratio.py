"""How far each update moves a layer, relative to the norm of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class UpdateRatio(StepQuantity):
    """The root mean square over updates of ‖Δθ‖₂/‖θ‖₂, with θ all variables of a layer.

    θ is taken before the update. An update from θ = 0 counts as 0.

    Example:
    >>> import keras_lcb as lcb
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile("sgd", "mse")
    >>> ratios = lcb.StepQuantities(UpdateRatio())
    >>> history = model.fit(np.ones((8, 1)), np.ones(8), verbose=0, callbacks=[ratios])
    >>> bool(ratios.results.update_ratio[-1, 0] < 1)
    True
    """

    name = "update_ratio"
    long_name = "RMS of the update relative to the parameters"
    needs_weights = True
    takes_sparse = True
    numbers = 1
    of_frozen = 0.0

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Adds ‖Δv‖²/‖θ‖² for each variable v, where θ are all variables of the layer of v."""
        moved = ops.squared_distances(after, before)
        layers = np.array(layer_of)
        in_one_layer = (layers[:, None] == layers[None, :]).astype(ops.ACCUMULATOR_DTYPE)
        weights = keras.ops.matmul(in_one_layer, ops.squared_norms(before)[:, None])[:, 0]
        known = weights > 0
        ratios = keras.ops.where(known, moved / keras.ops.where(known, weights, 1.0), 0.0)
        return list(states), [ratios]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns root mean squares; NaN if there was no update."""
        return rms(sums, updates)
