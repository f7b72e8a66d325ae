"""How functions of tensors are run and differentiated on torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run as it stands; what needs derivatives turns them on for itself."""
    return torch.no_grad()(function)


@torch.enable_grad()
def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """A scalar function of tensors, and its derivatives, one a tensor."""
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    value = function(*arguments)
    found = torch.autograd.grad(value, arguments, allow_unused=True, materialize_grads=True)
    return value.detach(), list(found)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Sets torch's own generator back afterwards: dropout without a seed draws from it."""
    return torch.random.fork_rng()
