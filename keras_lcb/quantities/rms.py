"""Root mean squares over updates, from sums of squares."""

from __future__ import annotations

import numpy as np


def rms(sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Returns root mean squares over updates; NaN if there was no update.

    Args:
        sums: An array of shape (..., 1) with sums of squares.
        updates: An array of shape (...) with the numbers of updates.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(sums[..., 0] / updates)
