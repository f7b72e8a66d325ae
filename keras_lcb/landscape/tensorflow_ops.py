"""How functions of tensors are compiled and differentiated on TensorFlow."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function to a graph, which on CPUs runs and compiles faster than XLA."""
    # TensorFlow warns if it traces the same code object often. All functions that are compiled
    # here share one code object. A `partial` has no code object, so there is no warning.
    return tf.function(functools.partial(function), autograph=False)


def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Computes a scalar function of tensors, and its gradient with respect to each tensor."""
    # The body of a loop may have captured a tensor from outside before this tape starts. The tape
    # would not see that the function uses it. A new tensor, made here, is always seen.
    arguments = [tf.identity(argument) for argument in arguments]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        value = function(*arguments)
    found = tape.gradient(value, arguments, unconnected_gradients="zero")
    # Embeddings have sparse gradients; here all become dense.
    return value, [tf.convert_to_tensor(gradient) for gradient in found]


def gradients_in_turn(
    functions: Sequence[Callable[..., Any]], arguments: Sequence[Sequence[Any]]
) -> list[list[Any]]:
    """Computes the gradients of functions one after the other, each at its own arguments.

    TensorFlow computes only once what the functions have in common.
    """
    found: list[list[Any]] = []
    for function, own in zip(functions, arguments, strict=True):
        # One function waits for the one before. Together, their backward passes might need more
        # memory than there is.
        with tf.control_dependencies(found[-1] if found else []):
            later = [tf.identity(argument) for argument in own]
        found.append(value_and_gradients(function, later)[1])
    return found


def mapped(function: Callable[[Any], Any], values: Any, dtype: str) -> Any:
    """Calls a function for each of some numbers, and stacks the results, which are of `dtype`.

    A loop is traced much faster here than a function of all values at once.
    """
    return tf.map_fn(
        function, values, fn_output_signature=tf.as_dtype(dtype), parallel_iterations=1
    )


def loops_are_slow() -> bool:
    """Tells whether loops within compiled functions may be many times slower than without."""
    return False


def repeated(count: int, body: Callable[[Any, Any], Any], start: Any) -> Any:
    """Computes `values = body(place, values)` for the places 0, 1, ..., `count` - 1."""
    return keras.ops.fori_loop(0, count, body, start)


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Does nothing: random layers of Keras keep their state in variables on this backend."""
    return contextlib.nullcontext()
