"""What the gradient tap does differently on TensorFlow: sparse gradients and in-place rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

ACCUMULATOR_DTYPE = "float64"


def squared_norms(tensors: Sequence[Any]) -> Any:
    """Squared Euclidean norms, one a tensor, in float64."""
    halves = [tf.nn.l2_loss(_single_precision(_without_repeats(t))) for t in tensors]
    return 2.0 * tf.cast(tf.stack(halves), "float64")


def differences(after: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """What has changed, tensor by tensor."""
    return [a - b for a, b in zip(after, before, strict=True)]


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Values as they are now, which later assignments do not change."""
    return [_read(variable) for variable in variables]


def on_host(value: Any) -> np.ndarray:
    """A variable or a tensor as an array, which later assignments do not change."""
    if isinstance(value, keras.Variable):
        return _read(value).numpy()
    return keras.ops.convert_to_numpy(value)


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    handle = _handle(variable)
    zeros = tf.zeros(variable.shape, variable.dtype)
    if handle is None:
        variable.assign(zeros)
    else:
        tf.raw_ops.AssignVariableOp(resource=handle, value=zeros)


def total_shape(count: int) -> tuple[int, ...]:
    """Shape of a variable that `accumulate` adds `count` numbers up in."""
    return (count,)


def total_value(array: Any) -> Any:
    """The sums that such a variable holds."""
    return array


def accumulate(total: keras.Variable, amount: Any) -> None:
    """Adds to a sum."""
    total.assign_add(amount)


def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row."""
    ring.value.scatter_nd_update([[row]], [tf.cast(values, ring.dtype)])


def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Derivatives of a scalar function of tensors, one a tensor."""
    # In a loop's body a tensor from outside may have been captured before this tape: without a
    # name of its own here, the tape would not see it used.
    arguments = [tf.identity(argument) for argument in arguments]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        value = function(*arguments)
    found = tape.gradient(value, arguments, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in found]


def where_scaled(factors: Any, on_host: Callable[[], bool], function: Callable[[], None]) -> None:
    """Calls a function in the steps in which a factor differs from 1."""

    def call() -> None:
        function()

    tf.cond(tf.reduce_all(tf.equal(factors, 1.0)), lambda: None, call)


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: here, all of a step can be compiled."""
    return function


def _read(variable: keras.Variable) -> Any:
    handle = _handle(variable)
    if handle is None:
        return tf.identity(variable.value)
    # The bare operation: what TensorFlow does around it takes several times as long.
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.value.dtype)


def _handle(variable: keras.Variable) -> Any:
    """Where its value is kept; `None` where a strategy keeps it in replicas."""
    value = variable.value
    return None if isinstance(value, tf.distribute.DistributedValues) else value.handle


def _single_precision(tensor: Any) -> Any:
    return tensor if tensor.dtype in (tf.float32, tf.float64) else tf.cast(tensor, tf.float32)


def _without_repeats(gradient: Any) -> Any:
    """Adds up the rows that a sparse gradient names more than once.

    Squaring the rows apart would lose the cross terms. Shapes stay static, so XLA compiles it.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    order = tf.argsort(gradient.indices)
    indices = tf.gather(gradient.indices, order)
    starts = tf.cast(indices[1:] != indices[:-1], tf.int32)
    first = tf.zeros_like(indices[:1], tf.int32)  # of `indices`, which may be a single one
    segments = tf.concat([first, tf.cumsum(starts)], axis=0)
    rows = tf.gather(gradient.values, order)
    return tf.math.unsorted_segment_sum(rows, segments, tf.shape(indices)[0])
