"""How functions of tensors are run and differentiated on torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

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


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Restores torch's global random state afterwards: dropout without a seed draws from it."""
    return torch.random.fork_rng()
