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


def gradients_in_turn(
    functions: Sequence[Callable[..., Any]], arguments: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    """Computes the gradients of functions, each at its own arguments.

    XLA computes only once what the functions have in common.
    """
    return [
        value_and_gradients(function, own)[1]
        for function, own in zip(functions, arguments, strict=True)
    ]


def mapped(function: Callable[[Any], Any], values: Any, dtype: str) -> Any:
    """Calls a function for each of some numbers, all at once, and stacks the results.

    On CPUs, XLA computes convolutions within loops many times slower.
    """
    return jax.vmap(function)(values)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Does nothing: random layers of Keras keep their state in variables on this backend."""
    return contextlib.nullcontext()
