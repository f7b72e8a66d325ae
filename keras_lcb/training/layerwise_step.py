"""What a `LayerwiseModel` adds to its training step: scaled steps and logs."""

from __future__ import annotations

from operator import is_
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.quantities.gradient_norm import GradientNorm
from keras_lcb.quantities.update_ratio import UpdateRatio
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.multipliers import LearningRateMultipliers
from keras_lcb.training.reader import Reader
from keras_lcb.training.scaling import Scaling
from keras_lcb.training.step_comparison import StepComparison
from keras_lcb.training.tap import tap_of


class LayerwiseStep:
    """Scales the steps of one model, and reads what the tap measures of them.

    It is valid for the model as it is compiled and built now. The sums are the tap's, which
    callbacks may read as well.

    Args:
        model: A compiled model whose variables exist.
        multipliers: The model's learning rate multipliers.
        predictiveness: Whether to compare gradients before and after a step along them. `True`
            takes the current learning rate as step size; a number sets the step size. Defaults to
            `False`.
    """

    def __init__(
        self,
        model: keras.Model,
        multipliers: LearningRateMultipliers,
        predictiveness: bool | float = False,
    ) -> None:
        self._model = model
        self._made_for = _state(model)
        self._executed_before = tap_of(model).executions  # of this epoch
        self.comparison = StepComparison(model, predictiveness) if predictiveness else None
        self.reader = Reader([GradientNorm(), UpdateRatio()], tracked_layers(model).layers)
        self.scaling = Scaling(model, multipliers, self.comparison)

    def is_current(self) -> bool:
        """Returns whether the model is still compiled and built as it was at the start."""
        now = _state(self._model)
        return len(now) == len(self._made_for) and all(map(is_, now, self._made_for))

    def reset(self) -> None:
        """Starts a new epoch."""
        tap = tap_of(self._model)
        tap.drain()
        self.reader.take()
        self._executed_before = tap.executions
        if self.comparison is not None:
            self.comparison.clear()

    def logs(self) -> dict[str, float]:
        """Returns the logs of the updates since the last reset.

        They are NaN in an epoch without an update, since callbacks such as `CSVLogger` need the
        same names in each epoch. In an evaluation, the dictionary is empty.
        """
        tap = tap_of(self._model)
        tap.drain()
        if tap.executions == self._executed_before:
            return {}
        values = self.reader.look().values
        logs = {
            f"{name}/{row.name}": float(value)
            for name in ("gradient_norm", "update_ratio")
            for row, value in zip(self.reader.rows, values[name], strict=True)
        }
        return logs | (self.comparison.means() if self.comparison is not None else {})


def _state(model: keras.Model) -> list[Any]:
    order = tracked_layers(model)
    weights = [v for layer in [*order.layers, *order.others] for v in layer.weights]
    return [internals.compilation(model), *weights]
