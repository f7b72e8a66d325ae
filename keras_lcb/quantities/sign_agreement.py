"""How many entries of a layer's gradient keep their sign from one update to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.quantities.step_quantity import State, StepQuantity


class SignAgreement(StepQuantity):
    """The share of gradient entries that have the same sign as at the previous update.

    Entries that are zero at either of the two updates do not count, so inactive units have no
    influence. If the signs were random, the share would be about one half. It costs one byte for
    each weight on the device, for the signs of the last gradient, and two sums in each update.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_lcb import StepQuantities
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> model.compile(keras.optimizers.SGD(0.01), "mse")
    >>> agreement = StepQuantities(SignAgreement())
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[agreement])
    >>> float(agreement.results.sign_agreement.sel(layer="lin")[-1])
    1.0
    """

    name = "sign_agreement"
    long_name = "share of gradient entries that keep their sign"

    def init(self, variable: keras.Variable) -> State:
        """Returns zeros, which stand for "no gradient yet"."""
        return (keras.ops.zeros(variable.shape, "int8"),)

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Counts the entries that keep their sign, and those that can be compared."""
        signs = keras.ops.cast(keras.ops.sign(gradient), "int8")
        products = keras.ops.cast(signs * state[0], "float32")
        return (signs,), (
            keras.ops.sum(keras.ops.maximum(products, 0.0)),
            keras.ops.sum(keras.ops.abs(products)),
        )

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Returns the share; NaN if no entries could be compared."""
        same, compared = sums
        return same / compared if compared else math.nan
