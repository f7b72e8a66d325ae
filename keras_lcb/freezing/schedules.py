"""The schedules of FreezeOut, which determine when each layer freezes.

Source: Brock, Lim, Ritchie and Weston (2017), "FreezeOut: Accelerate Training by Progressively
Freezing Layers".
"""

from __future__ import annotations

import numpy as np

SCHEDULES = {"linear": 1, "cubic": 3}  # the power to which equally spaced numbers are raised


def freezing_fractions(schedule: str, start: float, count: int) -> np.ndarray:
    """Returns the fraction of the run at which each layer freezes, in the order of the layers.

    In the linear schedule, the fractions are equally spaced from `start` to 1. In the cubic
    schedule, the cube roots of the fractions are equally spaced. FreezeOut describes the cubic
    schedule by t₀, where `start` is t₀³.

    Args:
        schedule: "linear" or "cubic".
        start: The fraction at which the first layer freezes.
        count: The number of layers. The last one trains to the end.

    Example:
    >>> freezing_fractions("linear", 0.5, 3).tolist()
    [0.5, 0.75, 1.0]
    >>> freezing_fractions("cubic", 0.125, 3).tolist()
    [0.125, 0.421875, 1.0]
    """
    power = SCHEDULES[schedule]
    return np.linspace(start ** (1 / power), 1.0, count) ** power


def freezing_epochs(fractions: np.ndarray, epochs: int) -> np.ndarray:
    """Returns the number of epochs that each layer trains, rounded to whole epochs.

    Args:
        fractions: Fractions of the run, as `freezing_fractions` returns them.
        epochs: The number of epochs of the run.

    Example:
    >>> freezing_epochs(np.array([0.5, 0.72, 1.0]), 10).tolist()
    [5, 7, 10]
    """
    return np.clip(np.rint(fractions * epochs), 1, epochs).astype(int)


def annealing(progress: np.ndarray) -> np.ndarray:
    """Returns the factor of a layer's step: ½ (1 + cos πp), and 0 for p above 1.

    A run stores this factor. `annealing.Annealing` computes the same inside the training step.

    Args:
        progress: p, which is 0 at the start of the run and 1 when the layer freezes.

    Example:
    >>> annealing(np.array([0.0, 0.5, 1.0, 2.0])).round(3).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return 0.5 * (1.0 + np.cos(np.pi * np.clip(progress, 0.0, 1.0)))
