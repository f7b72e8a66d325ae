"""Operations on TensorFlow: sparse gradients, assignment to rows, and replicas."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_lcb.backend import internals
from keras_lcb.backend.alike import alike, order_of

ACCUMULATOR_DTYPE = "float64"
CAN_TRACE_ANEW = True  # whether a step can be traced again within an epoch
# What a step raises if there is no further batch. What does not depend on the batch, such as adding
# a constant, may have been done by then.
END_OF_DATA = (tf.errors.OutOfRangeError,)

_SMALL = 512  # tensors with up to so many entries are faster stacked than one by one
_READING = ("ReadVariableOp", "ResourceGather")


def squared_norms(tensors: Sequence[Any]) -> Any:
    """Returns the squared Euclidean norm of each tensor, in float64."""
    return _sums_of_squares([_without_repeats(_apart(tensor)) for tensor in tensors])


def squared_distances(after: Sequence[Any], before: Sequence[Any]) -> Any:
    """Returns the squared Euclidean distance of each pair of tensors, in float64."""
    pairs = [[_precise(tensor) for tensor in tensors] for tensors in (after, before)]
    return _sums_of_squares(*pairs, of=tf.subtract)


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns the current values, which later assignments do not change."""
    return [_read(variable) for variable in variables]


def after(tensor: Any) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which what is done waits until a tensor is known."""
    return tf.control_dependencies([tensor])


def have_values(variables: Sequence[keras.Variable]) -> bool:
    """Returns whether variables that were created within a step have their initial values."""
    handles = [handle for variable in variables if (handle := _handle(variable)) is not None]
    return all(bool(tf.raw_ops.VarIsInitializedOp(resource=handle)) for handle in handles)


def on_host(value: Any) -> np.ndarray:
    """Returns a variable or tensor as an array that later assignments do not change."""
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


def total_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of a variable in which `accumulate` adds up tensors of a given shape."""
    return shape


def total_value(array: Any) -> Any:
    """Returns the sums that a variable of `accumulate` holds."""
    return array


def accumulate(total: keras.Variable, amount: Any) -> Any:
    """Adds to a sum, and returns the new one."""
    amount = tf.cast(amount, total.dtype)
    handle = _handle(total)
    if handle is None:
        return total.assign_add(amount)
    tf.raw_ops.AssignAddVariableOp(resource=handle, value=amount)
    return _read(total)


def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row of a variable."""
    value = ring.value
    if isinstance(value, tf.distribute.DistributedValues):
        value = value.values[0]  # all replicas would write the same, and the host reads this one
    value.scatter_nd_update([[row]], [tf.cast(values, ring.dtype)])


def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Returns the gradients of a scalar function with respect to each of its arguments."""
    # In the body of a `tf.while_loop`, a tensor from outside may have been captured before this
    # tape began. The tape would not see its use, so the function gets new tensors.
    arguments = [tf.identity(argument) for argument in arguments]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        value = function(*arguments)
    found = tape.gradient(value, arguments, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in found]


def dense(gradient: Any) -> Any:
    """Returns a gradient as a dense tensor. Gradients of embeddings are sparse."""
    return tf.convert_to_tensor(_apart(gradient))


def where(applied: Any, add: Callable[[], None], variables: Sequence[keras.Variable]) -> None:
    """Calls a function if `applied` is true."""

    def call() -> None:
        add()

    tf.cond(applied, call, lambda: None)


def outside_graph() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which nothing becomes part of a step that is being traced."""
    return tf.init_scope()


class VariableMaker:
    """Creates variables on the devices of a model.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._strategy = model.distribute_strategy

    def zeros(self, shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
        """Returns a new variable of zeros."""
        return self._new(np.zeros(shape, dtype), dtype, name)

    def of(self, value: Any, like: keras.Variable, name: str) -> keras.Variable:
        """Returns a new variable with a given value, on the devices of another variable."""
        return self._new(value, keras.backend.standardize_dtype(value.dtype), name)

    def _new(self, value: Any, dtype: str, name: str) -> keras.Variable:
        with tf.init_scope(), self._strategy.scope():
            return keras.Variable(
                value,
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",  # all replicas compute the same
                name=f"tap_{name}",
            )


def is_chief(model: keras.Model) -> bool:
    """Returns whether this process writes files, as only one of several workers does."""
    resolver = model.distribute_strategy.cluster_resolver
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def processes() -> int:
    """Returns how many processes train together without Keras knowing; here, always 1."""
    return 1


class Reduced:
    """The gradients of one optimizer, added up over the replicas of a strategy.

    `apply` itself adds them up, but after clipping. If there is no clipping, that sum is used.
    Otherwise the unclipped gradients are added up here.

    Args:
        optimizer: An optimizer that is not composite.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._replicas = internals.strategy_of(optimizer).num_replicas_in_sync
        clipped = optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue
        self._as_applied = not clipped and not optimizer.gradient_accumulation_steps
        self._found: dict[int, list[Any]] = {}  # by thread; each replica runs in one of its own

    @property
    def stand_ins(self) -> dict[str, Any]:
        """Replacements for methods of the optimizer while it applies gradients."""
        if self._replicas == 1 or not self._as_applied:
            return {}
        return internals.noting_reduced_gradients(self._optimizer, self._note)

    def _note(self, gradients: list[Any]) -> None:
        self._found[threading.get_ident()] = gradients

    def of(self, gradients: list[Any]) -> list[Any]:
        """Returns the reduced gradients. Call it after `apply` has returned."""
        if self._replicas == 1:
            return gradients
        if self._as_applied:
            return self._found.pop(threading.get_ident())
        replica = tf.distribute.get_replica_context()
        return list(replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients))


def scale_steps(
    variables: Sequence[keras.Variable], before: Sequence[Any], factors: Any, places: Sequence[int]
) -> None:
    """Scales the step of each variable by `factors[place]`; exactly for the factors 0 and 1."""
    after = read(variables)
    for group in alike(after, at_most=_SMALL):
        first, last = (tf.stack([values[at] for at in group]) for values in (before, after))
        dtype = tf.float64 if last.dtype == tf.float64 else tf.float32
        start, end = tf.cast(first, dtype), tf.cast(last, dtype)
        factor = tf.gather(factors, [places[at] for at in group])
        factor = tf.reshape(factor, [len(group)] + [1] * (len(last.shape) - 1))
        part = tf.cast(start + tf.cast(factor, dtype) * (end - start), last.dtype)
        part = tf.where(factor == 0.0, first, tf.where(factor == 1.0, last, part))
        for at, value in zip(group, tf.unstack(part), strict=True):
            variables[at].assign(value)


def trace_in_force() -> Any:
    """What is being traced: where it is the same, a tensor from there can be used here."""
    return tf.compat.v1.get_default_graph()


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function itself, since TensorFlow can compile all of a step."""
    return function


def _read(variable: keras.Variable) -> Any:
    handle = _handle(variable)
    if handle is None:
        return tf.identity(variable.value)
    known = None if tf.executing_eagerly() else _last_read(handle)
    if known is not None:
        return known
    # The raw operation, since TensorFlow's own `read_value` takes several times as long.
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.value.dtype)


def _last_read(handle: Any) -> Any:
    """Returns what the traced step has already read of a variable, if the value is still valid.

    It is valid if the step has only read the variable so far. Otherwise returns `None`.
    """
    using = tf.compat.v1.get_default_graph().capture(handle).consumers()
    if all(op.type in _READING for op in using):
        return next((op.outputs[0] for op in using if op.type == _READING[0]), None)
    return None


def _handle(variable: keras.Variable) -> Any:
    """Returns the handle of a variable's value.

    `None` if a strategy keeps the value in replicas, or a stateless scope holds it.
    """
    value = variable.value
    is_distributed = isinstance(value, tf.distribute.DistributedValues)
    return None if is_distributed else getattr(value, "handle", None)


def _sums_of_squares(*operands: Sequence[Any], of: Callable[..., Any] = lambda x: x) -> Any:
    """Returns one sum of squares for each tensor, or for each pair of tensors.

    Args:
        *operands: One sequence of tensors, or several of equal length.
        of: A function of one tensor from each sequence that returns what to square. Defaults to
            the tensor itself.
    """
    groups = alike(operands[0], at_most=_SMALL)
    alone = [group[0] for group in groups if len(group) == 1]
    groups = [group for group in groups if len(group) > 1]
    # In single precision under XLA, sums over long tensors would be right to four digits only.
    parts = [
        _squares(tf.cast(of(*(tf.stack([row[at] for at in group]) for row in operands)), "float64"))
        for group in groups
    ]
    if alone:
        halves = [
            tf.nn.l2_loss(tf.cast(of(*(row[at] for row in operands)), "float64")) for at in alone
        ]
        parts.append(2.0 * tf.stack(halves))
    together, order = tf.concat(parts, axis=0), order_of([*groups, alone])
    return together if order is None else tf.gather(together, order)


def _squares(tensors: Any) -> Any:
    """Returns a sum of squares for each index of the first axis."""
    squares = tf.square(tensors)
    rank = len(squares.shape)
    return tf.reduce_sum(squares, axis=list(range(1, rank))) if rank > 1 else squares


def _precise(tensor: Any) -> Any:
    """Casts half precision to single, so that differences keep their digits."""
    return tensor if tensor.dtype.size >= 4 else tf.cast(tensor, tf.float32)


def _apart(tensor: Any) -> Any:
    """Returns an equal tensor that is computed separately, so that the step's results stay equal.

    If only one operation reads a product `a * b`, TensorFlow may compute `rate * (a * b)` in
    another order. Reading a gradient that is a product or a sum would prevent that, and change the
    last digits of the training. Therefore such a gradient is computed a second time, in double
    precision, so that TensorFlow does not merge both computations. After rounding, it is the same.
    """
    if isinstance(tensor, tf.IndexedSlices):
        return tf.IndexedSlices(_apart(tensor.values), tensor.indices, tensor.dense_shape)
    op = None if tf.executing_eagerly() else getattr(tensor, "op", None)
    if op is None or op.type not in ("Mul", "Add", "AddV2") or not tensor.dtype.is_floating:
        return tensor
    factors = [tf.cast(_apart(factor), tf.float64) for factor in op.inputs]
    combine = tf.multiply if op.type == "Mul" else tf.add
    return tf.cast(combine(*factors), tensor.dtype)


def _without_repeats(gradient: Any) -> Any:
    """Adds up the rows that occur more than once in a sparse gradient.

    The square of their sum is needed, which is not the sum of their squares. Shapes stay static,
    so XLA can compile it.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    order = tf.argsort(gradient.indices)
    indices = tf.gather(gradient.indices, order)
    starts = tf.cast(indices[1:] != indices[:-1], tf.int32)
    first = tf.zeros_like(indices[:1], tf.int32)  # empty if `indices` is
    segments = tf.concat([first, tf.cumsum(starts)], axis=0)
    rows = tf.gather(gradient.values, order)
    return tf.math.unsorted_segment_sum(rows, segments, tf.shape(indices)[0])
