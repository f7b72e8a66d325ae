"""Root mean squares over updates, from sums of squares."""

from __future__ import annotations

import numpy as np


def rms(sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Returns root mean squares of the first of several sums; NaN where there was no update.

    Args:
        sums: Sums of squares, along one more axis than `updates`.
        updates: Numbers of updates.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(sums[..., 0] / updates)
