"""What the gradient tap does differently on torch: whole lists of tensors in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch

ACCUMULATOR_DTYPE = "float64"


@torch.no_grad()
def squared_norms(tensors: Sequence[Any]) -> Any:
    """Squared Euclidean norms, one a tensor, in float64."""
    dense = [_single_precision(t.coalesce().values() if t.is_sparse else t) for t in tensors]
    return torch.stack(torch._foreach_norm(dense)).double().square()


@torch.no_grad()
def differences(after: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """What has changed, tensor by tensor."""
    return torch._foreach_sub(list(after), list(before))


@torch.no_grad()
def read(variables: Sequence[Any]) -> list[Any]:
    """Values as they are now, which later assignments do not change."""
    return [getattr(v, "value", v).detach().clone() for v in variables]


def on_host(value: Any) -> np.ndarray:
    """A variable or a tensor as an array, which later assignments do not change."""
    return np.array(keras.ops.convert_to_numpy(value))  # a copy: on the host it shares the memory


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    variable.assign(np.zeros(variable.shape, variable.dtype))


def total_shape(count: int) -> tuple[int, ...]:
    """Shape of a variable that `accumulate` adds `count` numbers up in."""
    return (count,)


def total_value(array: Any) -> Any:
    """The sums that such a variable holds."""
    return array


@torch.no_grad()
def accumulate(total: keras.Variable, amount: Any) -> None:
    """Adds to a sum."""
    total.value.add_(amount)


@torch.no_grad()
def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row."""
    # Not `ring[row] = ...`, which asks the device for the number.
    ring.value.index_copy_(0, row.reshape(1).long(), values.to(ring.value.dtype)[None])


@torch.enable_grad()
def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Derivatives of a scalar function of tensors, one a tensor."""
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    return list(
        torch.autograd.grad(
            function(*arguments), arguments, allow_unused=True, materialize_grads=True
        )
    )


def where_scaled(factors: Any, on_host: Callable[[], bool], function: Callable[[], None]) -> None:
    """Calls a function in the steps in which a factor differs from 1, as the host knows."""
    if on_host():
        function()


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that `torch.compile` leaves alone: it cannot trace it, or takes too long."""
    return torch.compiler.disable(function)


def _single_precision(tensor: Any) -> Any:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
