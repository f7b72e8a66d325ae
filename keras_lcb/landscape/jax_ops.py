"""How functions of tensors are compiled and differentiated on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function with XLA."""
    return jax.jit(function)


def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Computes a scalar function of tensors, and its gradient with respect to each tensor."""
    value, found = jax.value_and_grad(function, tuple(range(len(arguments))))(*arguments)
    return value, list(found)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Does nothing: random layers of Keras keep their state in variables on this backend."""
    return contextlib.nullcontext()
