"""Turns targets into functions that can be split by frequency."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

TEXT = "OSUT"  # the kinds of NumPy's types for text


def as_functions(targets: Any) -> np.ndarray:
    """Returns targets as real functions of the samples. Each class becomes a function, 0 or 1.

    Args:
        targets: One or several arrays whose first axis is that of the samples. Integers and
            booleans with the shape (samples,) or (samples, 1) are class labels. Other arrays are
            used as they are, also floating point numbers that happen to be whole.

    Returns:
        An array (samples, functions) in float64.

    Raises:
        ValueError: If all functions are constant, so that they have no frequency; or if targets
            are text, NaN or infinite.

    Example:
    >>> import numpy as np
    >>> as_functions(np.array([2, 0, 2])).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    """
    functions = np.concatenate([_columns(y) for y in _arrays(targets)], 1)
    broken = np.count_nonzero(~np.isfinite(functions).all(axis=1))
    if broken:
        raise ValueError(
            f"`y` is NaN or infinite for {broken} of {len(functions)} samples. Leave these samples "
            "out."
        )
    if not np.any(functions != functions[:1]):
        raise ValueError(
            "`y` is the same for all samples, so it has no frequency. Pass samples of several "
            "classes, or with different values."
        )
    return functions


def _arrays(targets: Any) -> list[np.ndarray]:
    # A list of numbers is one array; a list of arrays is several.
    several = isinstance(targets, dict) or any(np.ndim(y) for y in keras.tree.flatten(targets))
    arrays = [np.asarray(y) for y in (keras.tree.flatten(targets) if several else [targets])]
    if any(y.dtype.kind in TEXT for y in arrays):
        raise ValueError("`y` must hold numbers. Pass classes as integers.")
    return arrays


def _columns(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "iub" and values.size == len(values):
        labels = np.unique(values)
        return (values.reshape(-1, 1) == labels).astype("float64")
    return values.reshape(len(values), -1).astype("float64")
