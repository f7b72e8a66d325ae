"""`Moment`: the loss around each layer at one moment of training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP_SIZE = 0.03  # of the step along the gradient after which its change is measured


@dataclass(frozen=True)
class Moment:
    """The loss around each layer at one moment of training.

    Attributes:
        step: The number of updates so far.
        slices: The mean loss over random directions within a layer (layers, positions). NaN for a
            layer without filters to compare, such as the first layer with its single input.
        change: The relative change of each layer's gradient after a step along it (layers).
        rates: The largest stable learning rate of each layer if it alone moves (layers); NaN if
            none was found.
    """

    step: int
    slices: np.ndarray
    change: np.ndarray
    rates: np.ndarray
