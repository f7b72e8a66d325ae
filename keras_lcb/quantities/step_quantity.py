"""`StepQuantity`: what is measured about a layer within the compiled training step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

State = tuple[Any, ...]


class StepQuantity:
    """Base class of what is measured about each layer inside the training step.

    A subclass says what to keep of each variable and what to add up at each update; the rest,
    such as accumulated gradients, loss scaling, several devices, records and units, is taken care
    of. `StepQuantities` is the callback that records it. The class is not needed to load, plot or
    report what was recorded.

    Attributes:
        name: The variable of the run that it becomes.
        long_name: What it is, as an axis label says it.
        units: Its units; "1" for a pure number.
        needs_weights: Whether `update` gets the weights before and after the update. This costs
            a copy of the weights in each step. Defaults to `False`.
        window: Whether its state begins anew after each record. Defaults to `False`.
        of_frozen: Its value for a frozen layer, which gets no updates. Defaults to NaN.

    Example:
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
        """Returns what is kept of a variable on the device from one update to the next.

        Args:
            variable: A variable that trains; its `shape` and `dtype` may be used.

        Returns:
            A tuple of tensors, empty for nothing.
        """
        return ()

    def update(self, state: State, gradient: Any, before: Any, after: Any) -> tuple[State, State]:
        """Takes one update of one variable. It is traced, so only `keras.ops` may be used.

        It is called once for each update that is applied, and only for variables that have a
        gradient.

        Args:
            state: What is kept of the variable.
            gradient: The effective gradient, of the variable's shape: dense, unscaled, averaged
                over accumulated batches, reduced over devices, and not clipped.
            before: The variable before the update; `None` unless `needs_weights`.
            after: The variable after the update, with weight decay, constraints and averages that
                overwrite it; `None` unless `needs_weights`.

        Returns:
            The new state, and a tuple of scalars that are added up over a layer's variables and
            over updates. Their number is the same each time.
        """
        raise TypeError(f"{type(self).__name__} does not say what it measures: define `update`.")

    def result(self, sums: Sequence[float], updates: int) -> float:
        """Makes one number of what was added up, on the host.

        Args:
            sums: The sums of the scalars that `update` returned.
            updates: How many updates they are of: those in which the layer had a gradient.
        """
        raise TypeError(f"{type(self).__name__} does not say what results: define `result`.")

    # What a quantity may do faster for many variables at once.

    takes_sparse: bool = False
    numbers: int | None = None  # that `update_all` adds up for a variable; found out if `None`

    def update_all(
        self,
        states: Sequence[State],
        gradients: Sequence[Any],
        before: Any,
        after: Any,
        layer_of: Sequence[int],
    ) -> tuple[list[State], list[Any]]:
        """Takes one update of several variables.

        Args:
            states: What is kept of each variable.
            gradients: Their gradients; sparse ones as they come if `takes_sparse`.
            before: The variables before the update, or `None`.
            after: The variables after the update, or `None`.
            layer_of: For each variable, the number of its layer.

        Returns:
            The new states, and the numbers to be added up, each as a vector over the variables.
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
        """Makes numbers of many sums: `sums` has one more axis than `updates`, the last."""
        flat = [
            float(self.result(tuple(each), int(count)))
            for each, count in zip(sums.reshape(-1, sums.shape[-1]), updates.ravel(), strict=True)
        ]
        return np.array(flat).reshape(updates.shape)


def _as_float(number: Any) -> Any:
    return keras.ops.reshape(keras.ops.cast(number, "float32"), ())
