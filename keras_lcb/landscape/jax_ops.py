"""How functions of tensors are compiled and differentiated on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax

_MOST_UNROLLED = 32


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


def loops_are_slow() -> bool:
    """Tells whether loops within compiled functions may be many times slower than without.

    On CPUs, this is so for the gradients of convolutions, see
    https://github.com/jax-ml/jax/issues/12868.
    """
    return jax.default_backend() == "cpu"


def repeated(count: int, body: Callable[[Any, Any], Any], start: Any) -> Any:
    """Computes `values = body(place, values)` for the places 0, 1, ..., `count` - 1.

    Where loops are slow, the rounds are compiled one by one, if they are few.
    """
    if count > _MOST_UNROLLED or not (loops_are_slow() and _has_convolutions(body, start)):
        return jax.lax.fori_loop(0, count, body, start)
    values = start
    for place in range(count):
        # As in a loop, a round begins when the one before has ended, so that they share memory.
        here, values = jax.lax.optimization_barrier((place, values))
        values = body(here, values)
    return values


def _has_convolutions(body: Callable[[Any, Any], Any], start: Any) -> bool:
    return "conv_general_dilated" in str(jax.make_jaxpr(body)(0, start))


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Does nothing: random layers of Keras keep their state in variables on this backend."""
    return contextlib.nullcontext()
