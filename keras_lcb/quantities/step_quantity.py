"""`StepQuantity`: the base class of what is measured inside the compiled training step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

State = tuple[Any, ...]


class StepQuantity:
    """Base class of quantities that are measured for each layer inside the training step.

    A subclass defines what to add up at each update, and optionally what to keep of each variable
    between updates. The package takes care of everything else: accumulated gradients, loss scaling,
    several devices, records and units. The callback `StepQuantities` records the quantity. A run
    can be loaded, plotted and reported without the class.

    Attributes:
        name: The name of the variable in the run.
        long_name: A description that serves as an axis label.
        units: The units; "1" for a pure number.
        needs_weights: Whether `update` receives the weights before and after the update. This
            costs a copy of the weights in each step. Defaults to `False`.
        window: Whether the state is reset after each record. Defaults to `False`.
        of_frozen: The value for a frozen layer, which has no updates. Defaults to NaN.

    Example:
    >>> import keras
    >>> class MeanSize(StepQuantity):
    ...     name, long_name, units = "mean_size", "mean absolute gradient entry", "1"
    ...
    ...     def update(self, state, gradient, before, after):
    ...         size = keras.ops.cast(keras.ops.size(gradient), "float32")
    ...         return state, (keras.ops.sum(keras.ops.abs(gradient)), size)
    ...
    ...     def result(self, sums, updates):
    ...         return sums[0] / sums[1]
    >>> MeanSize().result((6.0, 3.0), updates=1)
    2.0
    """

    name: str = ""
    long_name: str = ""
    units: str = "1"
    needs_weights: bool = False
    window: bool = False
    of_frozen: float = math.nan

    def init(self, variable: keras.Variable) -> State:
        """Returns the initial state of a variable, which is kept on the device between updates.

        Args:
            variable: A trainable variable. Its `shape` and `dtype` may be used.

        Returns:
            A tuple of tensors, which is empty by default, so that nothing is kept.
        """
        return ()

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Measures one update of one variable.

        It is called for each variable that has a gradient, in each update that is applied. Keras
        traces it, so it may use `keras.ops` only.

        Args:
            state: The state of the variable.
            gradient: The effective gradient, a tensor of the variable's shape. It is dense,
                unscaled, averaged over accumulated batches, reduced over devices, and not clipped.
            before: The variable before the update; `None` unless `needs_weights`.
            after: The variable after the update, including weight decay, constraints and averages
                (`use_ema`); `None` unless `needs_weights`.

        Returns:
            The new state, and a tuple of scalars. They are added up over the variables of a layer
            and over updates. Their number must always be the same.
        """
        raise TypeError(
            f"{type(self).__name__} does not define what it measures. Define its method `update`."
        )

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Computes the value of a layer from the sums, on the host.

        Args:
            sums: The sums of the scalars that `update` returned.
            updates: The number of updates in which the layer had a gradient.

        Returns:
            The value for the record.
        """
        raise TypeError(
            f"{type(self).__name__} does not define its value. Define its method `result`."
        )

    # Optional, for speed: a quantity may override these to measure many variables at once.

    takes_sparse: bool = False  # whether `update_all` accepts sparse gradients
    # How many numbers `update_all` adds up for each variable. If `None`, a trial call of `update`
    # tells.
    numbers: int | None = None

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Measures one update of several variables.

        Args:
            states: The state of each variable.
            gradients: The gradient of each variable. Sparse gradients are made dense unless
                `takes_sparse`.
            before: The variables before the update; `None` unless `needs_weights`.
            after: The variables after the update; `None` unless `needs_weights`.
            layer_of: For each variable, the index of its layer.

        Returns:
            The new states, and the numbers to add up, each as a vector over the variables.
        """
        nothing = [None] * len(gradients)
        updated = [
            self.update(*each)
            for each in zip(states, gradients, before or nothing, after or nothing, strict=True)
        ]
        columns = zip(*(numbers for _, numbers in updated), strict=True)
        numbers = [keras.ops.stack(list(map(_as_float, column))) for column in columns]
        return [tuple(state) for state, _ in updated], numbers

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Computes many values at once.

        Args:
            sums: An array of shape (..., numbers).
            updates: An array of shape (...).
        """
        flat = [
            float(self.result(tuple(each), int(count)))
            for each, count in zip(sums.reshape(-1, sums.shape[-1]), updates.ravel(), strict=True)
        ]
        return np.array(flat).reshape(updates.shape)


def _as_float(number: Any) -> Any:
    return keras.ops.reshape(keras.ops.cast(number, "float32"), ())
