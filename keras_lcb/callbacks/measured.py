"""Checks what the `measure` of a user's recorder returns, whenever a record is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np


def checked(
    kind: str,
    measured: Any,
    variables: Mapping[str, Mapping[str, Any]],
    size_of: Callable[[str], int],
) -> dict[str, np.ndarray]:
    """Returns copies of measured arrays, as float64 on the host.

    Args:
        kind: The name of the recorder's class, for errors.
        measured: What `measure` returned.
        variables: What the recorder declares, by name.
        size_of: A function that returns how many values there must be along a dimension.

    Raises:
        ValueError: If the arrays are not those that are declared.
    """
    if not isinstance(measured, Mapping) or set(measured) != set(variables):
        found = sorted(map(str, measured)) if isinstance(measured, Mapping) else repr(measured)
        raise ValueError(
            f"`measure` of {kind} must return a dictionary with the keys of `variables`, "
            f"{sorted(variables)}; received {found}."
        )
    arrays = {}
    for name, described in variables.items():
        values, what = measured[name], f"'{name}', measured by {kind},"
        dims = described.get("dims", ("layer",))
        expected = tuple(map(size_of, dims))
        arrays[name] = _numbers(what, values)
        if arrays[name].shape != expected:
            raise ValueError(
                f"{what} must have the shape {expected}, for the dimensions {dims}; received "
                f"{arrays[name].shape}."
            )
    return arrays


def _numbers(what: str, values: Any) -> np.ndarray:
    """Returns a copy, since the user may write into the same array for the next record."""
    try:
        array = np.asarray(keras.ops.convert_to_numpy(values))
        if array.dtype.kind in "USc":
            raise TypeError(f"no real numbers: {values!r}")
        return np.array(array, dtype="float64")
    except Exception as error:  # the values may be anything
        raise ValueError(
            f"{what} must be an array of real numbers, or a list of them; received "
            f"{type(values).__name__}: {str(error).strip().rstrip('.')}."
        ) from error
