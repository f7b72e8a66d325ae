"""Whether a layer's gradients of successive updates point in the same direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.quantities.step_quantity import State, StepQuantity


class SuccessiveCosine(StepQuantity):
    """The cosine between the gradients of successive updates, pooled over a record's updates.

    It is Σ gₜ·gₜ₋₁ / √(Σ‖gₜ‖² Σ‖gₜ₋₁‖²), so updates with large gradients weigh more. Since each
    update has another batch, noise lowers the cosine. `GradientPredictiveness` measures without
    this noise, on fixed data. It costs one tensor of the size of the weights on the device, and
    three sums of products in each update.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_lcb import StepQuantities
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile(keras.optimizers.SGD(0.01), "mse")
    >>> cosine = StepQuantities(SuccessiveCosine())
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[cosine])
    >>> round(float(cosine.results.successive_cosine.sel(layer="lin")[-1]), 3)
    1.0
    """

    name = "successive_cosine"
    long_name = "cosine of successive gradients"

    def init(self, variable: keras.Variable) -> State:
        """Returns zeros for the last gradient, and a zero which says that there is none yet."""
        return (keras.ops.zeros(variable.shape, "float32"), keras.ops.zeros((), "float32"))

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Adds the product with the last gradient, and both squared norms."""
        last, known = state
        gradient = keras.ops.cast(gradient, "float32")
        products = (
            keras.ops.sum(gradient * last),
            known * keras.ops.sum(gradient * gradient),
            keras.ops.sum(last * last),
        )
        return (gradient, keras.ops.ones_like(known)), products

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Returns the pooled cosine; NaN if there were no two gradients to compare."""
        product, squares, last_squares = sums
        return product / math.sqrt(squares * last_squares) if squares * last_squares else math.nan
