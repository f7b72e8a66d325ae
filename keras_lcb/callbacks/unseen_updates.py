"""Detects weights that changed although none of the followed optimizers made an update."""

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
        moved: For each layer, whether its weights changed; `None` before the comparison.
        sentence: The warning to the user; "" if no update was missed.
    """

    def __init__(self) -> None:
        self.moved: np.ndarray | None = None
        self.sentence = ""
        self._first: np.ndarray | None = None

    def begin(self, model: keras.Model, rows: Sequence[TrackedLayer]) -> None:
        """Keeps norms of the weights before training. Only the first call has an effect."""
        if self._first is None:
            self._first = squared_norms(model, rows)

    def look(
        self,
        model: keras.Model,
        rows: Sequence[TrackedLayer],
        updates: int,
        optimizers: Sequence[str],
        callback: str,
    ) -> None:
        """Warns if weights changed without an update. Only the first call has an effect.

        Args:
            model: The model.
            rows: The followed layers.
            updates: How many updates the followed optimizers made.
            optimizers: The names of the classes of the followed optimizers.
            callback: The name of the callback's class.
        """
        if self.moved is not None or self._first is None:
            return
        self.moved = squared_norms(model, rows) != self._first
        if updates or not self.moved.any():
            return
        hint = "`track(model, callback, optimizer=[...])`"
        if keras.backend.backend() != "jax":
            hint = f"{callback}(optimizer=[...]) or {hint}"
        self.sentence = (
            f"The weights of the model '{model.name}' changed, but none of the followed optimizers "
            f"({', '.join(optimizers)}) made an update. If other optimizers train the model, pass "
            f"them: {hint}."
        )
        warnings.warn(self.sentence, stacklevel=3)


def squared_norms(model: keras.Model, rows: Sequence[TrackedLayer]) -> np.ndarray:
    """Returns the squared norm of each layer's weights."""
    internals.sync_state(model)
    squares = ops.on_host(ops.squared_norms(ops.read([v for row in rows for v in row.variables])))
    ends = np.cumsum([len(row.variables) for row in rows])[:-1]
    return np.array([part.sum() for part in np.split(np.asarray(squares, "float64"), ends)])
