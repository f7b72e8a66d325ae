"""How far each update moves a layer, relative to the norm of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.step_quantity import State, StepQuantity


class UpdateRatio(StepQuantity):
    """√(Σ‖Δθ‖² / Σ‖θ‖²), with sums over a record's updates, and θ all variables of a layer.

    θ is taken before the update. For a single update, the quantity is ‖Δθ‖₂/‖θ‖₂. Both sums are
    pooled, so a block of layers has the ratio of all its variables, taken as one vector. If θ
    was 0 before each update, the quantity is 0. It costs a copy of the weights, and two sums of
    squares for each variable and update.

    Example:
    >>> import numpy as np
    >>> import keras
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
    numbers = 2
    of_frozen = 0.0

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Adds the squared norms of the steps, and of the weights before them."""
        return list(states), [ops.squared_distances(after, before), ops.squared_norms(before)]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns the ratios; NaN if there was no update."""
        moved, weights = sums[..., 0], sums[..., 1]
        ratios = np.sqrt(np.divide(moved, weights, out=np.zeros_like(moved), where=weights != 0))
        return np.where(updates > 0, ratios, np.nan)
