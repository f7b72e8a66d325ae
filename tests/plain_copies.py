"""Copies of a model's weights, taken with plain Keras calls, and what NumPy makes of them."""

from __future__ import annotations

import keras
import numpy as np


class PlainCopies(keras.callbacks.Callback):
    """Keeps `get_weights()` before training and after each epoch, or after each batch.

    Attributes:
        taken: The weights, oldest first.
    """

    def __init__(self, each_batch: bool = False):
        super().__init__()
        self.each_batch = each_batch
        self.taken: list[list[np.ndarray]] = []

    def on_epoch_begin(self, epoch, logs=None):
        if not self.taken:
            self.take()

    def on_train_batch_end(self, batch, logs=None):
        if self.each_batch:
            self.take()

    def on_epoch_end(self, epoch, logs=None):
        if not self.each_batch:
            self.take()

    def take(self):
        self.taken.append([np.array(array) for array in self.model.get_weights()])


def vectors(model, taken, rows, kernels_only=False):
    """Vectors (copies, row) of the variables named in `rows`, in double precision.

    Args:
        model: The model whose weights were taken.
        taken: Lists of arrays, each in the order of `model.weights`.
        rows: Lists of variables' paths, with or without the model's name, by the row's name.
        kernels_only: Whether to leave vectors and scalars out.
    """
    paths = [variable.path for variable in model.weights]
    result = []
    for weights in taken:
        row_vectors = {}
        for name, variables in rows.items():
            parts = [np.zeros(0)]
            for path in variables:
                place = paths.index(path if path in paths else f"{model.name}/{path}")
                if weights[place].ndim >= 2 or not kernels_only:
                    parts.append(weights[place].astype(np.float64).ravel())
            row_vectors[name] = np.concatenate(parts)
        result.append(row_vectors)
    return result


def distances(model, taken, rows, endpoint=None):
    """Distances (copies, rows) to the last copy, or to other weights."""
    states = vectors(model, taken, rows)
    (end,) = vectors(model, [taken[-1] if endpoint is None else endpoint], rows)
    return np.array([[np.linalg.norm(s[name] - end[name]) for name in rows] for s in states])


def norms(model, taken, rows):
    """Norms (copies, rows)."""
    return np.array([[np.linalg.norm(v) for v in s.values()] for s in vectors(model, taken, rows)])


def angles(model, taken, rows):
    """1 - cos (copies, rows) between the kernels and those of the first copy."""
    states = vectors(model, taken, rows, kernels_only=True)
    return np.array([[_angle(s[name], states[0][name]) for name in rows] for s in states])


def _angle(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return 1 - a @ b / lengths if lengths else np.nan
