"""How functions of tensors are run and differentiated on torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function without compiling it, and with gradients switched off.

    Code inside the function that needs gradients switches them on itself.
    """
    return torch.no_grad()(function)


@torch.enable_grad()
def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Computes a scalar function of tensors, and its gradient with respect to each tensor."""
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    value = function(*arguments)
    found = torch.autograd.grad(value, arguments, allow_unused=True, materialize_grads=True)
    return value.detach(), list(found)


def gradients_in_turn(
    functions: Sequence[Callable[..., Any]], arguments: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    """Computes the gradients of functions, each at its own arguments."""
    return [
        value_and_gradients(function, own)[1]
        for function, own in zip(functions, arguments, strict=True)
    ]


def mapped(function: Callable[[Any], Any], values: Any, dtype: str) -> Any:
    """Calls a function for each of some numbers, and stacks the results."""
    return torch.stack([function(value) for value in values])


def loops_are_slow() -> bool:
    """Tells whether loops within compiled functions may be many times slower than without."""
    return False


def repeated(count: int, body: Callable[[Any, Any], Any], start: Any) -> Any:
    """Computes `values = body(place, values)` for the places 0, 1, ..., `count` - 1."""
    return keras.ops.fori_loop(0, count, body, start)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Restores torch's global random state afterwards: dropout without a seed draws from it."""
    return torch.random.fork_rng()
