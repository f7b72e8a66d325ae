"""When layers freeze by a schedule, as FreezeOut does it.

Source: Brock, Lim, Ritchie and Weston (2017), "FreezeOut: Accelerate Training by Progressively
Freezing Layers".
"""

from __future__ import annotations

import numpy as np

SCHEDULES = {"linear": 1, "cubic": 3}  # with the power to which fractions are raised


def freezing_fractions(schedule: str, start: float, count: int) -> np.ndarray:
    """Returns at which fraction of the run each layer freezes, the first layer first.

    The fractions' roots lie evenly between that of `start` and 1: linear is FreezeOut's linear
    schedule, and cubic its cubic one, whose t₀³ is `start`.

    Args:
        schedule: "linear" or "cubic".
        start: Where the first layer freezes.
        count: How many layers there are; the last one trains to the end.

    Example:
    >>> freezing_fractions("linear", 0.5, 3).tolist()
    [0.5, 0.75, 1.0]
    >>> freezing_fractions("cubic", 0.125, 3).tolist()
    [0.125, 0.421875, 1.0]
    """
    power = SCHEDULES[schedule]
    return np.linspace(start ** (1 / power), 1.0, count) ** power


def freezing_epochs(fractions: np.ndarray, epochs: int) -> np.ndarray:
    """Returns how many epochs each layer trains: whole ones, since stages begin with epochs.

    Args:
        fractions: Of the run, as `freezing_fractions` returns them.
        epochs: How many the run has.

    Example:
    >>> freezing_epochs(np.array([0.5, 0.72, 1.0]), 10).tolist()
    [5, 7, 10]
    """
    return np.clip(np.rint(fractions * epochs), 1, epochs).astype(int)


def annealing(progress: np.ndarray) -> np.ndarray:
    """Returns the part of its step that a layer takes: ½ (1 + cos πp).

    Args:
        progress: p, from 0 at the beginning of the run to 1 where the layer freezes, and beyond.

    Example:
    >>> annealing(np.array([0.0, 0.5, 1.0, 2.0])).round(3).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return 0.5 * (1.0 + np.cos(np.pi * np.clip(progress, 0.0, 1.0)))
