"""Notices weights that moved although no optimizer that is followed made an update."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.training.layers import TrackedLayer


class UnseenUpdates:
    """Compares the weights at the end of the first epoch with those at its beginning.

    Attributes:
        moved: For each layer, whether it moved; `None` until that is known.
        sentence: What to tell the user; "" if nothing went unseen.
    """

    def __init__(self) -> None:
        self.moved: np.ndarray | None = None
        self.sentence = ""
        self._first: np.ndarray | None = None

    def begin(self, model: keras.Model, rows: Sequence[TrackedLayer]) -> None:
        """Notes the weights before training; only the first call does."""
        if self._first is None:
            self._first = _squared_norms(model, rows)

    def look(
        self,
        model: keras.Model,
        rows: Sequence[TrackedLayer],
        updates: int,
        optimizers: Sequence[str],
        callback: str,
    ) -> None:
        """Warns, once, if weights moved without an update.

        Args:
            model: The model.
            rows: The followed layers.
            updates: How many updates were seen.
            optimizers: The classes of the followed optimizers.
            callback: The class of the callback.
        """
        if self.moved is not None or self._first is None:
            return
        self.moved = _squared_norms(model, rows) != self._first
        if updates or not self.moved.any():
            return
        hint = "name them: `track(model, callback, optimizer=[...])`"
        if keras.backend.backend() != "jax":
            hint = f"name them: {callback}(optimizer=[...]), or {hint}"
        self.sentence = (
            f"The weights of the model '{model.name}' moved while no optimizer that is followed "
            f"made an update ({', '.join(optimizers)}). If other optimizers train it, {hint}."
        )
        warnings.warn(self.sentence, stacklevel=3)


def _squared_norms(model: keras.Model, rows: Sequence[TrackedLayer]) -> np.ndarray:
    """Returns the squared norm of each layer's weights."""
    internals.sync_state(model)
    squares = ops.on_host(ops.squared_norms(ops.read([v for row in rows for v in row.variables])))
    ends = np.cumsum([len(row.variables) for row in rows])[:-1]
    return np.array([part.sum() for part in np.split(np.asarray(squares, "float64"), ends)])
