"""Follows an optimizer of `torch.optim`, through the hooks that torch offers."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from keras_lcb.backend import internals, ops
from keras_lcb.training.keras_optimizer import Receiver
from keras_lcb.training.layers import TrackedLayer


class TorchOptimizer:
    """Follows an optimizer of `torch.optim`, also one that is used with a `GradScaler`.

    Args:
        optimizer: The `torch.optim.Optimizer` that updates a model's parameters.
    """

    steps_per_update = 1
    moves_between_updates = False
    not_made = 0  # updates that are counted, though they were not made

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self._steps = 0  # updates that were made
        self._reached = 0  # calls of `step`, including those that skipped the update
        # Variables, gradients and weights between the hooks before and after a step.
        self._update: tuple[Any, ...] | None = None

    @property
    def kind(self) -> str:
        """The optimizer's class name."""
        return type(self.optimizer).__name__

    def iterations(self) -> int:
        """Returns how many updates the optimizer has made since it was first followed."""
        return self._steps

    def rates(self, rows: Sequence[TrackedLayer]) -> np.ndarray:
        """Returns the current learning rate of each layer; NaN for layers it does not train."""
        rates = np.full(len(rows), math.nan)
        for group in self.optimizer.param_groups:
            known = {id(parameter) for parameter in group["params"]}
            trained = [any(id(v.value) in known for v in row.variables) for row in rows]
            rates[trained] = float(group["lr"])
        return rates

    @contextlib.contextmanager
    def in_force(self, receiver: Receiver, scaling: Any = None) -> Iterator[None]:
        """Reports each update to the receiver within this context.

        Args:
            receiver: The receiver of gradients and weights.
            scaling: Must be `None`, since steps of torch's optimizers cannot be scaled.

        Raises:
            ValueError: If `scaling` is given. Within a step, if `step` receives a closure, since
                it would compute the gradients only after they are measured.
        """
        if scaling is not None:
            raise ValueError(
                f"LayerwiseModel cannot scale the steps of torch.optim.{self.kind}. Use an "
                "optimizer of keras.optimizers."
            )
        before = self.optimizer.register_step_pre_hook(
            lambda _, args, kwargs: self._before_step(receiver, args, kwargs)
        )
        after = self.optimizer.register_step_post_hook(lambda *_: self._after_step(receiver))
        counting = {"step": self._counting_skips(receiver)}
        try:
            with internals.replaced(torch.amp.GradScaler, counting):
                yield
        finally:
            before.remove()
            after.remove()

    def _before_step(self, receiver: Receiver, args: Any, kwargs: Any) -> None:
        if any(callable(a) and a is not self.optimizer for a in [*args, *kwargs.values()]):
            raise ValueError(
                f"{self.kind}.step received a closure, but gradients that are computed in a "
                "closure cannot be measured. Call `loss.backward()` first, then `step()`."
            )
        own = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        self._reached += 1
        receiver.before_update()
        variables = [
            v for v in receiver.variables if id(v.value) in own and v.value.grad is not None
        ]
        # A copy, since some optimizers change gradients in place.
        gradients = [v.value.grad.detach().clone() for v in variables] if receiver.measures else []
        scale = getattr(self.optimizer, "grad_scale", None)  # set if `step` itself unscales
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        before = ops.read(variables) if receiver.needs_weights else None
        self._update = variables, gradients, before

    def _after_step(self, receiver: Receiver) -> None:
        assert self._update is not None
        (variables, gradients, before), self._update = self._update, None
        overflow = getattr(self.optimizer, "found_inf", None)  # set if `step` itself may skip
        if overflow is not None and bool(overflow):
            receiver.skip()
            return
        self._steps += 1
        if variables and receiver.measures:
            after = ops.read(variables) if receiver.needs_weights else None
            receiver.add(variables, gradients, before, after)

    def _counting_skips(self, receiver: Receiver) -> Any:
        """Returns a replacement for `GradScaler.step`, which counts the steps that it skips."""
        step = torch.amp.GradScaler.step

        @functools.wraps(step)
        def counted(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            reached = self._reached
            result = step(scaler, optimizer, *args, **kwargs)
            if optimizer is self.optimizer and self._reached == reached:
                receiver.skip()
            return result

        return counted
