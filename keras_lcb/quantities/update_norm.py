"""How far each update moves a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class UpdateNorm(StepQuantity):
    """RMS over updates of ‖θ(t) − θ(t−1)‖₂, with θ all of a layer's variables."""

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
        """Takes the weights of several variables before and after an update."""
        return list(states), [ops.squared_distances(after, before)]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns root mean squares; NaN where there was no update."""
        return rms(sums, updates)
