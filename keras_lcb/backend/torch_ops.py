"""Operations on torch: one kernel for whole lists of tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch

ACCUMULATOR_DTYPE = "float64"
CAN_TRACE_ANEW = True  # whether a step can be changed within an epoch
END_OF_DATA = ()  # a step gets its batch, and so never ends for want of one
_ROW = 256  # so many entries can be added up in float32 without a visible rounding error
_LONG = 1 << 15  # longer tensors are added up in rows, which is faster than in float64


@torch.no_grad()
def squared_norms(tensors: Sequence[Any]) -> Any:
    """Returns the squared Euclidean norm of each tensor, in float64."""
    values = [t.coalesce().values() if t.is_sparse else t for t in tensors]
    parts = [_row_norms(t) if t.numel() > _LONG else t for t in values]
    return torch.stack(torch._foreach_norm(parts, 2, torch.float64)).square()


def _row_norms(tensor: Any) -> Any:
    """Returns the norms of short rows of a tensor; their norm is the norm of the tensor.

    torch adds up in float32, which has a relative error of about 1e-3 in long sums.
    """
    strides = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    flat = _single_precision(tensor.permute(strides).contiguous().view(-1))  # no copy if dense
    whole = flat.numel() // _ROW * _ROW
    rows = torch.linalg.vector_norm(flat[:whole].view(-1, _ROW), dim=1)
    return torch.cat([rows, flat[whole:]])


@torch.no_grad()
def squared_distances(after: Sequence[Any], before: Sequence[Any]) -> Any:
    """Returns the squared Euclidean distance of each pair of tensors, in float64."""
    return squared_norms(torch._foreach_sub(list(after), list(before)))


@torch.no_grad()
def read(variables: Sequence[Any]) -> list[Any]:
    """Returns the current values, which later assignments do not change."""
    return [getattr(v, "value", v).detach().clone() for v in variables]


def after(tensor: Any) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which what is done waits until a tensor is known, as always."""
    return contextlib.nullcontext()


def have_values(variables: Sequence[keras.Variable]) -> bool:
    """Returns whether variables have their initial values, which is always so on torch."""
    return True


def on_host(value: Any) -> np.ndarray:
    """Returns a variable or tensor as an array that later assignments do not change."""
    return np.array(keras.ops.convert_to_numpy(value))  # a copy, since torch shares the memory


def clear(variable: keras.Variable) -> None:
    """Sets a variable to zero."""
    variable.assign(np.zeros(variable.shape, variable.dtype))


def total_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of a variable in which `accumulate` adds up tensors of a given shape."""
    return shape


def total_value(array: Any) -> Any:
    """Returns the sums that a variable of `accumulate` holds."""
    return array


@torch.no_grad()
def accumulate(total: keras.Variable, amount: Any) -> Any:
    """Adds to a sum, and returns the new one."""
    return total.value.add_(amount)


@torch.no_grad()
def write_row(ring: keras.Variable, row: Any, values: Any) -> None:
    """Replaces one row of a variable."""
    # Not `ring[row] = ...`, which would wait for the device to tell the number `row`.
    ring.value.index_copy_(0, row.reshape(1).long(), values.to(ring.value.dtype)[None])


@torch.enable_grad()
def gradients(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
    """Returns the gradients of a scalar function with respect to each of its arguments."""
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    return list(
        torch.autograd.grad(
            function(*arguments), arguments, allow_unused=True, materialize_grads=True
        )
    )


def dense(gradient: Any) -> Any:
    """Returns a gradient as a dense tensor."""
    return gradient.to_dense() if gradient.is_sparse else gradient


def where(applied: Any, add: Callable[[], None], variables: Sequence[keras.Variable]) -> None:
    """Calls a function if `applied` is true.

    This waits for the device, but Keras has done so in this step anyway.
    """
    if bool(applied):
        add()


def outside_graph() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which nothing becomes part of a step that is being traced."""
    return contextlib.nullcontext()


class VariableMaker:
    """Creates variables on the devices of a model.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        del model  # all variables are on Keras' default device

    def zeros(self, shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
        """Returns a new variable of zeros."""
        return _new(np.zeros(shape, dtype), dtype, name)

    def of(self, value: Any, like: keras.Variable, name: str) -> keras.Variable:
        """Returns a new variable with a given value, on the devices of another variable."""
        dtype = keras.backend.standardize_dtype(value.dtype)
        return _new(value, dtype, name)


def is_chief(model: keras.Model) -> bool:
    """Returns whether this process writes files, as only one of several processes does."""
    return processes() == 1 or torch.distributed.get_rank() == 0


def processes() -> int:
    """Returns how many processes train together with torch.distributed."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1


class Reduced:
    """The gradients of one optimizer. torch has already reduced them over processes."""

    stand_ins: dict[str, Any] = {}

    def __init__(self, optimizer: Any) -> None:
        del optimizer

    def of(self, gradients: list[Any]) -> list[Any]:
        """Returns the gradients."""
        return gradients


def _new(value: Any, dtype: str, name: str) -> keras.Variable:
    return keras.Variable(value, dtype=dtype, trainable=False, autocast=False, name=f"tap_{name}")


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
    """What is being traced: where it is the same, a tensor from there can be used here.

    Nothing is traced here: loops run as they stand.
    """
    return None


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that `torch.compile` does not trace, since that fails or takes long."""
    return torch.compiler.disable(function)


def _single_precision(tensor: Any) -> Any:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
