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

    A unit is what stands at one place of a kernel's last axis: a neuron of `Dense`, a filter of a
    convolution (of a depthwise or transposed one, the axis is another, and the share means
    little). It is dead where neither its part of the kernel nor its bias had a gradient other than
    zero. A ReLU that no sample of these updates switched on is such a unit, and so is one that
    nothing reads. Layers without kernels are NaN. It keeps one number a unit on the device.

    Source: Lu et al. (2019), "Dying ReLU and initialization", for what makes units die.

    Example:
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
        """Keeps which units of a kernel had a gradient, and at last whether they are counted."""
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
    """Returns how many units a variable belongs to, 0 if it is no kernel."""
    return int(shape[-1]) if len(shape) >= 2 else 0


def _moving(gradient: Any) -> Any:
    """Returns 1 for each place along the last axis with a gradient other than zero, else 0."""
    rows = keras.ops.reshape(gradient, (-1, gradient.shape[-1]))
    # NaN is no zero: a unit that gets it is not dead, but in other trouble.
    return keras.ops.cast(keras.ops.any(rows != 0, axis=0), "float32")
