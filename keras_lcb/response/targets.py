"""Turns targets into functions that can be split by frequency."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def as_functions(targets: Any) -> np.ndarray:
    """Returns targets as real functions of the samples. Each class becomes a function, 0 or 1.

    Args:
        targets: One or several arrays whose first axis is that of the samples. Whole numbers with
            the shape (samples,) or (samples, 1) are class labels. Other arrays are used as they
            are.

    Returns:
        An array (samples, functions) in float64.

    Raises:
        ValueError: If all functions are constant, so that they have no frequency.

    Example:
    >>> import numpy as np
    >>> as_functions(np.array([2, 0, 2])).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    functions = np.concatenate([_columns(np.asarray(y)) for y in keras.tree.flatten(targets)], 1)
    if not np.any(functions != functions[:1]):
        raise ValueError(
            "`y` is the same for all samples, so it has no frequency. Pass samples of several "
            "classes, or with different values."
        )
    return functions


def _columns(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "iub" and values.size == len(values):
        labels = np.unique(values)
        return (values.reshape(-1, 1) == labels).astype("float64")
    return values.reshape(len(values), -1).astype("float64")
