"""Steps that fall to zero layer by layer, computed inside the training step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.training.multipliers import LearningRateMultipliers
from keras_lcb.training.scaling import Scaling


class Annealing(Scaling):
    """Multiplies each layer's step by ½ (1 + cos(π t / T)), with a separate T for each layer.

    The optimizer counts batches, and t is computed from this count inside the step. So the factor
    changes with each update, and no update waits for the host.

    Args:
        model: A model whose variables exist.
        ends: T in batches, by the `id` of a variable. Steps of other variables are not scaled.
        origin: The count of the optimizer at which t is 0.
    """

    def __init__(self, model: keras.Model, ends: dict[int, float], origin: int) -> None:
        super().__init__(model, LearningRateMultipliers(model))
        self._origin = origin
        self._ends = np.array(
            [
                min((ends[id(v)] for v in row.variables if id(v) in ends), default=math.inf)
                for row in self.layers
            ],
            "float32",
        )

    @property
    def is_in_use(self) -> bool:
        """Returns `True`: steps are scaled from the first one on."""
        return True

    def of_step(self, *args: Any) -> contextlib.AbstractContextManager[None]:
        """Lets moving statistics change as usual until the layer is frozen."""
        return contextlib.nullcontext()

    def around(self, part: Any, apply: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that replaces `apply` of an optimizer."""
        scaled = super().around(part, apply)

        def anneal_and_apply(grads: Any, trainable_variables: Any = None) -> Any:
            (count,) = ops.read([internals.steps_of(part)])
            passed = keras.ops.cast(count - self._origin, "float32")
            progress = keras.ops.clip(keras.ops.divide(passed, self._ends), 0.0, 1.0)
            self._factors.assign(0.5 * (1.0 + keras.ops.cos(math.pi * progress)))
            return scaled(grads, trainable_variables)

        return anneal_and_apply
