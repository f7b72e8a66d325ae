"""Converged parameters that the user gives: arrays, or a file of weights."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.optimizers import optimizers_of


def load_reference(
    model: keras.Model, reference: Any, rows: Sequence[TrackedLayer]
) -> list[np.ndarray | None]:
    """Reads the endpoints of layers that the user gives.

    Args:
        model: A built model.
        reference: A list of arrays, one for each weight as in `model.get_weights()`, or one for
            each trainable variable; or the path of a `.weights.h5` or `.keras` file of the same
            network.
        rows: The layers.

    Returns:
        Each layer's parameters at the endpoint, as one vector. `None` for a layer that `reference`
        does not hold: a frozen layer, if only the trainable variables are given.

    Raises:
        ValueError: If the arrays or the file do not fit the model.
        FileNotFoundError: If there is no such file.
    """
    if isinstance(reference, (str, os.PathLike)):
        arrays = _weights_in(model, pathlib.Path(reference))
    else:
        arrays = _checked_list(reference)
    given = _matched(model, arrays)
    endpoints = [
        np.concatenate([given[id(v)].ravel() for v in row.variables])
        if all(id(v) in given for v in row.variables)
        else None
        for row in rows
    ]
    if all(endpoint is None for endpoint in endpoints):
        raise ValueError(
            "`reference` holds no parameters of the followed layers. Give the weights of the whole "
            "model, or follow other `layers`."
        )
    return endpoints


def _checked_list(reference: Any) -> list[np.ndarray]:
    if not isinstance(reference, Sequence) or isinstance(reference, bytes):
        raise ValueError(
            "`reference` must be 'final', 'model', a list of arrays, or the path of a "
            f"`.weights.h5` or `.keras` file; received {type(reference).__name__}."
        )
    return [keras.ops.convert_to_numpy(array) for array in reference]


def _matched(model: keras.Model, arrays: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Returns the arrays by the `id` of the variable to which each belongs."""
    for variables in (model.weights, model.trainable_variables):
        if len(arrays) == len(variables):
            break
    else:
        raise ValueError(
            f"`reference` holds {len(arrays)} arrays, but the model '{model.name}' has "
            f"{len(model.weights)} weights, of which {len(model.trainable_variables)} are "
            "trainable. Give one array for each weight, in the order of `model.get_weights()`, or "
            "one for each trainable weight."
        )
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"`reference` does not fit the model: the array for '{variable.path}' must have "
                f"shape {tuple(variable.shape)}; received {array.shape}."
            )
    return {id(v): array for v, array in zip(variables, arrays, strict=True)}


def _weights_in(model: keras.Model, path: pathlib.Path) -> list[np.ndarray]:
    """Loads a file into the model, reads its weights, and puts everything back as it was."""
    if not path.exists():
        raise FileNotFoundError(
            f"`reference` names the file '{path}', which does not exist. Pass 'final', 'model', "
            "a list of arrays, or the path of a `.weights.h5` or `.keras` file."
        )
    variables = list({id(v): v for v in [*model.variables, *model.metrics_variables]}.values())
    values = [keras.ops.convert_to_numpy(variable) for variable in variables]
    before = internals.state_in_memory(model)
    optimizers = optimizers_of(model, in_fit=False) if model.optimizer else []
    try:
        with _weights_file(path) as file:
            model.load_weights(file, objects_to_skip=optimizers)
        return model.get_weights()
    except Exception as error:  # Keras, h5py and zipfile each raise their own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # After a line that ends so, Keras writes the reason itself.
        introduced = bool(lines) and lines[0].endswith(":")
        reason = " ".join(lines[: 2 if introduced else 1]) or type(error).__name__
        raise ValueError(
            f"The file '{path}', received as `reference`, could not be read as weights of the "
            f"model '{model.name}': {reason}"
        ) from error
    finally:
        # Keras' own way also restores other objects that the model holds, and what layers like
        # Normalization compute when they are loaded. But it merges LoRA weights into the kernel,
        # so the exact values are assigned afterwards.
        internals.load_state(model, before)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


@contextlib.contextmanager
def _weights_file(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the path of a `.weights.h5` file, extracted from a `.keras` archive if need be.

    Keras could load the archive itself, but it would load the optimizer's state as well.
    """
    if path.suffix != ".keras":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        yield pathlib.Path(archive.extract("model.weights.h5", folder))
