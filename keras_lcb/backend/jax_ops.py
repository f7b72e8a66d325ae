"""What is done differently on JAX: single precision sums, compensated, and layouts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.extend.core import get_opaque_trace_state

from keras_lcb.backend import internals
from keras_lcb.backend.alike import alike, order_of

ACCUMULATOR_DTYPE = "float32"
CAN_TRACE_ANEW = False  # in the midst of an epoch

_SMALL = 1 << 14  # entries up to which tensors cost less stacked than one by one


def squared_norms(tensors: Sequence[Any]) -> Any:
    """Squared Euclidean norms, one a tensor, in float32."""
    return _sums_of_squares(tensors, of=_single_precision, of_one=_row_major)


def squared_distances(after: Sequence[Any], before: Sequence[Any]) -> Any:
    """Squared Euclidean distances, one a pair of tensors, in float32."""
    return _sums_of_squares(after, before, of=_difference, of_one=_difference)


def _sums_of_squares(
    *operands: Sequence[Any], of: Callable[..., Any], of_one: Callable[..., Any]
) -> Any:
    """Sums of squares, one a tensor; XLA starts one loop a group, and each start costs time.

    Args:
        *operands: The tensors, or several rows of tensors.
        of: What to square, of one tensor of each row, or of stacked ones.
        of_one: What to square of a tensor that stands alone.
    """
    groups = alike(operands[0], at_most=_SMALL)
    parts = []
    for group in groups:
        if len(group) == 1:
            tensors = of_one(*(row[group[0]] for row in operands))
        else:
            tensors = of(*(jnp.stack([row[at] for at in group]) for row in operands))
        # Along one axis XLA adds up in several short sums at once, along several it may not.
        parts.append(jnp.sum(jnp.square(tensors.reshape(len(group), -1)), axis=1))
    together, order = jnp.concatenate(parts), order_of(groups)
    return together if order is None else together[np.array(order)]


def _single_precision(tensor: Any) -> Any:
    return tensor.astype(jnp.float32)


def _difference(after: Any, before: Any) -> Any:
    return _single_precision(after) - _single_precision(before)


def _row_major(tensor: Any) -> Any:
    """The entries in the order in which XLA adds up in short rows.

    Fused with what computes a transposed gradient, it would add up thousands one after another.
    """
    return jax.lax.optimization_barrier(_single_precision(tensor).reshape(-1))


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Values as they are now; JAX arrays never change."""
    return [v.value for v in variables]


def have_values(variables: Sequence[keras.Variable]) -> bool:
    """Whether variables have their first values."""
    return True


def on_host(value: Any) -> np.ndarray:
    """A variable or a tensor as an array, which later assignments do not change."""
    return keras.ops.convert_to_numpy(value)


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    variable.assign(np.zeros(variable.shape, variable.dtype))


def total_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of a variable in which `accumulate` adds up tensors of a shape."""
    return (2, *shape)


def total_value(array: Any) -> Any:
    """The sums that such a variable holds."""
    return array[0] - array[1]


def accumulate(total: keras.Variable, amount: Any) -> Any:
    """Adds to row 0, and returns it; row 1 holds what rounding has lost so far (Kahan 1965).

    Double precision is off by default in JAX, and a plain float32 sum over a long epoch drifts.
    """
    value, lost = total.value[0], total.value[1]
    amount = amount.astype(value.dtype) - lost
    new = value + amount
    # After an overflow the compensation is NaN, which must not hide the infinity.
    lost = jnp.where(jnp.isfinite(new), (new - value) - amount, 0.0)
    total.assign(jnp.stack([new, lost]))
    return new


def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row."""
    ring.assign(ring.value.at[row].set(values.astype(ring.dtype)))


def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Derivatives of a scalar function of tensors, one a tensor."""
    return list(jax.grad(function, argnums=tuple(range(len(arguments))))(*arguments))


def dense(gradient: Any) -> Any:
    """A gradient as a plain tensor."""
    return keras.ops.convert_to_tensor(gradient, sparse=False)


def where(applied: Any, add: Callable[[], None], variables: Sequence[keras.Variable]) -> None:
    """Calls a function, whose effects on variables stay only where `applied` is true."""
    before = read(variables)
    add()
    for variable, old in zip(variables, before, strict=True):
        variable.assign(jnp.where(applied, variable.value, old))


def outside_graph() -> contextlib.AbstractContextManager[None]:
    """Within this context nothing becomes part of a step that is being traced."""
    return contextlib.nullcontext()


class VariableMaker:
    """Makes variables on the devices of a model.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        del model  # Keras' default device, or the distribution that is set, holds all variables

    def zeros(self, shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
        """A variable that begins with zeros."""
        return _new(np.zeros(shape, dtype), dtype, name)

    def of(self, value: Any, like: keras.Variable, name: str) -> keras.Variable:
        """A variable that begins with a value, beside another variable."""
        dtype = keras.backend.standardize_dtype(value.dtype)
        same = tuple(value.shape) == tuple(like.shape)
        return _new(value, dtype, name, layout=internals.layout_of(like) if same else None)


def is_chief(model: keras.Model) -> bool:
    """Whether this process is the one of several that writes files."""
    return jax.process_index() == 0


def processes() -> int:
    """How many processes train together outside of what Keras' `fit` knows of."""
    return 1


class Reduced:
    """The gradients of one optimizer: a program over global arrays has those of all devices."""

    stand_ins: dict[str, Any] = {}

    def __init__(self, optimizer: Any) -> None:
        del optimizer

    def of(self, gradients: list[Any]) -> list[Any]:
        """The gradients."""
        return gradients


def _new(value: Any, dtype: str, name: str, layout: Any = None) -> keras.Variable:
    return keras.Variable(
        value, dtype=dtype, trainable=False, autocast=False, layout=layout, name=f"tap_{name}"
    )


def scale_steps(
    variables: Sequence[keras.Variable], before: Sequence[Any], factors: Any, places: Sequence[int]
) -> None:
    """Takes the part `factors[place]` of each variable's step; exactly for the factors 0 and 1."""
    for variable, start, place in zip(variables, before, places, strict=True):
        factor, end = factors[place], variable.value
        dtype = keras.backend.result_type(end.dtype, "float32")
        first, last = keras.ops.cast(start, dtype), keras.ops.cast(end, dtype)
        part = keras.ops.cast(first + keras.ops.cast(factor, dtype) * (last - first), end.dtype)
        part = keras.ops.where(factor == 1, end, part)
        variable.assign(keras.ops.where(factor == 0, start, part))


def trace_in_force() -> Any:
    """What is being traced: where it is the same, a tensor from there can be used here."""
    return get_opaque_trace_state()


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: here, all of a step can be compiled."""
    return function
