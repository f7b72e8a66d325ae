"""Converged parameters that are given beforehand: arrays, or a file of weights."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def load_reference(model: keras.Model, reference: Any) -> dict[int, np.ndarray]:
    """Reads given endpoints for a model's variables.

    Args:
        model: A built model.
        reference: A list of arrays, as `model.get_weights()` gives them or one for each trainable
            variable; or the path of a `.weights.h5` or `.keras` file of the same network.

    Returns:
        The endpoint of each variable that has one, by the variable's `id`.

    Raises:
        ValueError: If the arrays do not fit the model, or the file holds no weights of it.
        FileNotFoundError: If there is no such file.
    """
    if isinstance(reference, (str, os.PathLike)):
        arrays = _weights_in(model, pathlib.Path(reference))
    else:
        arrays = _checked_list(reference)
    for variables in (model.weights, model.trainable_variables):
        if len(arrays) == len(variables):
            return _matched(variables, arrays)
    raise ValueError(
        f"`reference` holds {len(arrays)} arrays; the model '{model.name}' has "
        f"{len(model.weights)} weights, of which {len(model.trainable_variables)} train. Give one "
        "array for each, in the order of `model.get_weights()`."
    )


def _checked_list(reference: Any) -> list[np.ndarray]:
    if not isinstance(reference, Sequence) or isinstance(reference, bytes):
        raise ValueError(
            "`reference` is 'final', 'model', a list of arrays, or the path of a `.weights.h5` or "
            f"`.keras` file; received {reference!r}."
        )
    return [np.asarray(array) for array in reference]


def _matched(variables: Sequence[Any], arrays: list[np.ndarray]) -> dict[int, np.ndarray]:
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"`reference` does not fit the model: the array for '{variable.path}' has shape "
                f"{array.shape}, expected {tuple(variable.shape)}."
            )
    return {id(v): array for v, array in zip(variables, arrays, strict=True)}


def _weights_in(model: keras.Model, path: pathlib.Path) -> list[np.ndarray]:
    """Loads a file into the model, reads its weights, and puts everything back as it was."""
    if not path.exists():
        raise FileNotFoundError(f"`reference` names the file '{path}', which does not exist.")
    state = [*model.variables, *(model.optimizer.variables if model.optimizer else [])]
    before = [keras.ops.convert_to_numpy(variable) for variable in state]
    try:
        model.load_weights(path)
        return model.get_weights()
    except Exception as error:  # Keras, h5py and zipfile each have their own
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"The file '{path}' given as `reference` holds no weights of the model "
            f"'{model.name}': {reason[0] if reason else type(error).__name__}"
        ) from error
    finally:
        for variable, value in zip(state, before, strict=True):
            variable.assign(value)
