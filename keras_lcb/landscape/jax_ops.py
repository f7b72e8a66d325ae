"""How functions of tensors are compiled and differentiated on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA."""
    return jax.jit(function)


def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """A scalar function of tensors, and its derivatives, one a tensor."""
    value, found = jax.value_and_grad(function, tuple(range(len(arguments))))(*arguments)
    return value, list(found)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Nothing to undo: layers draw from states that are variables."""
    return contextlib.nullcontext()
