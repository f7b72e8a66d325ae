"""Operations on JAX: compensated sums in single precision, and layouts over devices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.backend.alike import alike, order_of

try:
    from jax.extend.core import get_opaque_trace_state
except ImportError:  # JAX up to 0.8, and later ones would warn
    from jax.core import get_opaque_trace_state

ACCUMULATOR_DTYPE = "float32"
CAN_TRACE_ANEW = False  # whether a step can be traced again within an epoch
END_OF_DATA = ()  # a step gets its batch, and so never ends for want of one

_SMALL = 1 << 14  # tensors with up to so many entries are faster stacked than one by one


def squared_norms(tensors: Sequence[Any]) -> Any:
    """Returns the squared Euclidean norm of each tensor, in float32."""
    return _sums_of_squares(tensors, of=_single_precision, of_one=_row_major)


def squared_distances(after: Sequence[Any], before: Sequence[Any]) -> Any:
    """Returns the squared Euclidean distance of each pair of tensors, in float32."""
    return _sums_of_squares(after, before, of=_difference, of_one=_difference)


def _sums_of_squares(
    *operands: Sequence[Any], of: Callable[..., Any], of_one: Callable[..., Any]
) -> Any:
    """Returns one sum of squares for each tensor, or for each pair of tensors.

    Small tensors are stacked in groups. XLA starts one loop a group, and each start costs time.

    Args:
        *operands: One sequence of tensors, or several of equal length.
        of: A function of stacked tensors, one from each sequence, that returns what to square.
        of_one: The same for tensors that are not stacked.
    """
    groups = alike(operands[0], at_most=_SMALL)
    parts = []
    for group in groups:
        if len(group) == 1:
            tensors = of_one(*(row[group[0]] for row in operands))
        else:
            tensors = of(*(jnp.stack([row[at] for at in group]) for row in operands))
        # Over a single axis, XLA forms several short sums, which is precise. Over several axes, it
        # may form one long sum.
        parts.append(jnp.sum(jnp.square(tensors.reshape(len(group), -1)), axis=1))
    together, order = jnp.concatenate(parts), order_of(groups)
    return together if order is None else together[np.array(order)]


def _single_precision(tensor: Any) -> Any:
    return tensor.astype(jnp.float32)


def _difference(after: Any, before: Any) -> Any:
    return _single_precision(after) - _single_precision(before)


def _row_major(tensor: Any) -> Any:
    """Returns the entries as a vector that XLA adds up in short sums.

    The barrier keeps XLA from fusing the sum with the computation of a transposed gradient, where
    it would add up thousands of entries one after another in single precision.
    """
    return jax.lax.optimization_barrier(_single_precision(tensor).reshape(-1))


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns the current values. JAX arrays never change, so no copies are needed."""
    return [v.value for v in variables]


def after(tensor: Any) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which what is done waits until a tensor is known, as always."""
    return contextlib.nullcontext()


def have_values(variables: Sequence[keras.Variable]) -> bool:
    """Returns whether variables have their initial values, which is always so on JAX."""
    return True


def on_host(value: Any) -> np.ndarray:
    """Returns a variable or tensor as an array that later assignments do not change."""
    return keras.ops.convert_to_numpy(value)


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    variable.assign(np.zeros(variable.shape, variable.dtype))


def total_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of a variable in which `accumulate` adds up tensors of a given shape."""
    return (2, *shape)


def total_value(array: Any) -> Any:
    """Returns the sums that a variable of `accumulate` holds."""
    return array[0] - array[1]


def accumulate(total: keras.Variable, amount: Any) -> Any:
    """Adds to row 0, and returns it. Row 1 holds the rounding error so far.

    JAX has no double precision by default, and a plain float32 sum over a long epoch would drift.
    Source: Kahan (1965), "Further remarks on reducing truncation errors".
    """
    value, lost = total.value[0], total.value[1]
    amount = amount.astype(value.dtype) - lost
    new = value + amount
    # After an overflow the rounding error would be NaN and turn the infinite sum into NaN.
    lost = jnp.where(jnp.isfinite(new), (new - value) - amount, 0.0)
    total.assign(jnp.stack([new, lost]))
    return new


def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row of a variable."""
    ring.assign(ring.value.at[row].set(values.astype(ring.dtype)))


def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Returns the gradients of a scalar function with respect to each of its arguments."""
    return list(jax.grad(function, argnums=tuple(range(len(arguments))))(*arguments))


def dense(gradient: Any) -> Any:
    """Returns a gradient as a dense tensor."""
    return keras.ops.convert_to_tensor(gradient, sparse=False)


def where(applied: Any, add: Callable[[], None], variables: Sequence[keras.Variable]) -> None:
    """Calls a function, and undoes its effects on the variables if `applied` is false."""
    before = read(variables)
    add()
    for variable, old in zip(variables, before, strict=True):
        variable.assign(jnp.where(applied, variable.value, old))


def outside_graph() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which nothing becomes part of a step that is being traced."""
    return contextlib.nullcontext()


class VariableMaker:
    """Creates variables on the devices of a model.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        del model  # all variables are on Keras' default device, or follow the distribution

    def zeros(self, shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
        """Returns a new variable of zeros."""
        return _new(np.zeros(shape, dtype), dtype, name)

    def of(self, value: Any, like: keras.Variable, name: str) -> keras.Variable:
        """Returns a new variable with a given value, on the devices of another variable."""
        dtype = keras.backend.standardize_dtype(value.dtype)
        same = tuple(value.shape) == tuple(like.shape)
        return _new(value, dtype, name, layout=internals.layout_of(like) if same else None)


def is_chief(model: keras.Model) -> bool:
    """Returns whether this process writes files, as only one of several processes does."""
    return jax.process_index() == 0


def processes() -> int:
    """Returns how many processes train together without Keras knowing; on JAX, always 1."""
    return 1


class Reduced:
    """The gradients of one optimizer, reduced over devices.

    On JAX nothing is to be done, since a program over global arrays sees those of all devices.
    """

    stand_ins: dict[str, Any] = {}

    def __init__(self, optimizer: Any) -> None:
        del optimizer

    def of(self, gradients: list[Any]) -> list[Any]:
        """Returns the gradients."""
        return gradients


def _new(value: Any, dtype: str, name: str, layout: Any = None) -> keras.Variable:
    return keras.Variable(
        value, dtype=dtype, trainable=False, autocast=False, layout=layout, name=f"tap_{name}"
    )


def scale_steps(
    variables: Sequence[keras.Variable], before: Sequence[Any], factors: Any, places: Sequence[int]
) -> None:
    """Scales the step of each variable by `factors[place]`; exactly for the factors 0 and 1."""
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
    """Returns the function itself, since JAX can compile all of a step."""
    return function
