"""How functions of tensors are compiled and differentiated on TensorFlow."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a graph; on CPUs that is faster than XLA, and traced in less time."""
    # TensorFlow warns of functions that are traced too often, and counts by their code, which
    # here is the same for all of them: a `partial` has none.
    return tf.function(functools.partial(function), autograph=False)


def value_and_gradients(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """A scalar function of tensors, and its derivatives, one a tensor."""
    # In a loop's body a tensor from outside may have been captured before this tape: without a
    # name of its own here, the tape would not see it used.
    arguments = [tf.identity(argument) for argument in arguments]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        value = function(*arguments)
    found = tape.gradient(value, arguments, unconnected_gradients="zero")
    return value, [tf.convert_to_tensor(gradient) for gradient in found]  # none stays sparse


def draws_undone() -> contextlib.AbstractContextManager[None]:
    """Nothing to undo: layers draw from states that are variables."""
    return contextlib.nullcontext()
