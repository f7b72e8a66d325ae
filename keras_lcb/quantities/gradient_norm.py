"""The norm of each layer's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.rms import rms
from keras_lcb.quantities.step_quantity import State, StepQuantity


class GradientNorm(StepQuantity):
    """RMS over updates of ‖∇θ‖₂, with θ all of a layer's variables."""

    name = "gradient_norm"
    long_name = "RMS gradient norm since the last record"
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
        """Takes the gradients of several variables."""
        return list(states), [ops.squared_norms(gradients)]

    def results(self, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
        """Returns root mean squares; NaN where there was no update."""
        return rms(sums, updates)
