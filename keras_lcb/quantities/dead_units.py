"""How many of a layer's units get no gradient at all."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_lcb.quantities.step_quantity import State, StepQuantity


class DeadUnits(StepQuantity):
    """Share of units whose gradient was exactly zero in each update since the last record.

    A unit is one index of a kernel's last axis: a neuron of `Dense`, or a filter of a convolution.
    (Filters of depthwise and transposed convolutions are on other axes, so the share means little
    there.) A unit is dead if the gradient of its part of the kernel and of its bias was always
    zero. Examples are a ReLU that was zero for every sample of these updates, and a unit whose
    output no later layer uses. Layers without kernels have NaN. The cost is one number for each
    unit on the device.

    Source: Lu et al. (2019), "Dying ReLU and initialization", for what makes units die.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_lcb import StepQuantities
    >>> never_on = keras.initializers.Constant(-9)
    >>> relu = keras.layers.Dense(4, "relu", bias_initializer=never_on, name="relu")
    >>> model = keras.Sequential([keras.Input((2,)), relu, keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> dead = StepQuantities(DeadUnits())
    >>> x, y = np.ones((8, 2)), np.zeros((8, 1))
    >>> history = model.fit(x, y, batch_size=2, verbose=0, callbacks=[dead])
    >>> float(dead.results.dead_units.sel(layer="relu")[-1])
    1.0
    """

    name = "dead_units"
    long_name = "share of units without gradient since the last record"
    window = True
    numbers = 2  # units that got their first gradient, and units seen for the first time

    def init(self, variable: keras.Variable) -> State:
        """Returns a 0 for each unit, which has no gradient yet; the last 0 means "not counted"."""
        units = _units(variable.shape)
        return (keras.ops.zeros((units + 1,)),) if units else ()

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Notes the units that have a gradient."""
        biases = [
            (layer, _moving(gradient))
            for layer, gradient in zip(layer_of, gradients, strict=True)
            if len(gradient.shape) == 1
        ]
        new: list[State] = []
        first_gradients, first_seen = [], []
        for layer, gradient, state in zip(layer_of, gradients, states, strict=True):
            units = _units(gradient.shape)
            alive = seen = keras.ops.zeros(())
            if units:
                own = [b for of, b in biases if of == layer and b.shape[0] == units]
                has = functools.reduce(keras.ops.maximum, own, _moving(gradient))
                after_it = keras.ops.maximum(state[0], keras.ops.append(has, [1.0]))
                grown = after_it - state[0]
                alive, seen = keras.ops.sum(grown[:-1]), units * grown[-1]
                state = (after_it,)
            new.append(state)
            first_gradients.append(alive)
            first_seen.append(seen)
        return new, [keras.ops.stack(first_gradients), keras.ops.stack(first_seen)]

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Returns the share; NaN for a layer without kernels."""
        alive, units = sums
        return 1.0 - alive / units if units else math.nan


def _units(shape: Sequence[int]) -> int:
    """Returns the number of units of a kernel; 0 for other variables."""
    return int(shape[-1]) if len(shape) >= 2 else 0


def _moving(gradient: Any) -> Any:
    """Returns 1 for each index of the last axis with a gradient other than zero, otherwise 0."""
    rows = keras.ops.reshape(gradient, (-1, gradient.shape[-1]))
    # NaN differs from zero, so a unit whose gradient is NaN does not count as dead.
    return keras.ops.cast(keras.ops.any(rows != 0, axis=0), "float32")
