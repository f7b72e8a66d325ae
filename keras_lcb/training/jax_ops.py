"""What the gradient tap does differently on JAX: single precision sums, compensated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

ACCUMULATOR_DTYPE = "float32"


def squared_norms(tensors: Sequence[Any]) -> Any:
    """Squared Euclidean norms, one a tensor, in float32."""
    return jnp.stack([jnp.sum(jnp.square(t.astype(jnp.float32))) for t in tensors])


def differences(after: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    """What has changed, tensor by tensor."""
    return [a - b for a, b in zip(after, before, strict=True)]


def read(variables: Sequence[keras.Variable]) -> list[Any]:
    """Values as they are now; JAX arrays never change."""
    return [v.value for v in variables]


def on_host(value: Any) -> np.ndarray:
    """A variable or a tensor as an array, which later assignments do not change."""
    return keras.ops.convert_to_numpy(value)


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    variable.assign(np.zeros(variable.shape, variable.dtype))


def total_shape(count: int) -> tuple[int, ...]:
    """Shape of a variable that `accumulate` adds `count` numbers up in."""
    return (2, count)


def total_value(array: Any) -> Any:
    """The sums that such a variable holds."""
    return array[0]


def accumulate(total: keras.Variable, amount: Any) -> None:
    """Adds to row 0; row 1 holds what rounding has lost so far (Kahan 1965).

    Double precision is off by default in JAX, and a plain float32 sum over a long epoch drifts.
    """
    value, lost = total.value[0], total.value[1]
    amount = amount - lost
    new = value + amount
    # After an overflow the compensation is NaN, which must not hide the infinity.
    lost = jnp.where(jnp.isfinite(new), (new - value) - amount, 0.0)
    total.assign(jnp.stack([new, lost]))


def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row."""
    ring.assign(ring.value.at[row].set(values.astype(ring.dtype)))


def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Derivatives of a scalar function of tensors, one a tensor."""
    return list(jax.grad(function, argnums=tuple(range(len(arguments))))(*arguments))


def where_scaled(factors: Any, on_host: Callable[[], bool], function: Callable[[], None]) -> None:
    """Calls a function in the steps in which a factor differs from 1, and, here, in others."""
    function()


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: here, all of a step can be compiled."""
    return function
