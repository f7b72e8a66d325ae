"""The tap for loops that step a `torch.optim` optimizer, through the hooks that torch offers."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.training import ops
from keras_lcb.training.layers import check_trainable_model, tracked_layers
from keras_lcb.training.meter import NormMeter


class TorchOptimizerTap:
    """Feeds a `NormMeter` from the steps of a `torch.optim` optimizer.

    It stands in for the optimizer wherever Keras' `iterations` and `learning_rate` are asked for.

    Args:
        model: A built Keras model on the torch backend.
        optimizer: The `torch.optim.Optimizer` that steps its parameters.

    Raises:
        ValueError: If the model cannot be tracked, or the optimizer has no hooks; in a step, if
            it is given a closure, which computes gradients only after they are measured.
    """

    def __init__(self, model: keras.Model, optimizer: Any) -> None:
        check_trainable_model(model, optimizer)
        if not hasattr(optimizer, "register_step_pre_hook"):
            raise ValueError(
                f"{type(optimizer).__name__} is no optimizer that can be followed. Use one of "
                "keras.optimizers or torch.optim."
            )
        self.model = model
        self.variables = [v for layer in tracked_layers(model).layers for v in layer.variables]
        self.meter = NormMeter(self.variables)
        self.iterations = 0
        self.kind = type(optimizer).__name__
        self._optimizer = optimizer
        self._before: list[Any] = []
        self._hooks: list[Any] = []

    @property
    def learning_rate(self) -> float:
        """The rate of the first parameter group."""
        return self._optimizer.param_groups[0]["lr"]

    def keep_each_update(self, rows: int) -> None:
        """Has the meter keep each update's norms, `rows` of them between two drains."""
        if self.meter.ring_rows < rows:
            windows = self.meter.windows
            self.meter = NormMeter(self.variables, rows)
            for window in windows:
                self.meter.attach(window)

    def open(self) -> None:
        """Measures from now on."""
        if not self._hooks:
            self._hooks = [
                self._optimizer.register_step_pre_hook(self._before_step),
                self._optimizer.register_step_post_hook(self._after_step),
            ]

    hold = open

    def drain(self) -> None:
        """Reads what was measured so far into the readers' windows."""
        self.meter.drain()

    def close(self) -> None:
        """Removes the hooks."""
        if self._hooks:
            self.drain()
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if any(callable(a) and a is not optimizer for a in [*args, *kwargs.values()]):
            raise ValueError(
                f"{self.kind}.step was given a closure, within which gradients cannot be "
                "measured. Call `loss.backward()` first, then `step()`."
            )
        reached = [v for v in self.variables if v.value.grad is not None]
        self.meter.add_gradients(reached, [v.value.grad for v in reached])
        self._before = ops.read(self.variables)

    def _after_step(self, *_: Any) -> None:
        self.iterations += 1
        self.meter.add_updates(self.variables, self._before, [v.value for v in self.variables])
