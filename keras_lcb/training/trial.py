"""Tries the methods of a user's quantity before training. Errors name the quantity."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.quantities.step_quantity import StepQuantity


def called(quantity: StepQuantity, function: Callable[..., Any], *args: Any) -> Any:
    """Calls a method of a user's quantity. An error of the method names the quantity."""
    try:
        return function(*args)
    except Exception as error:  # the user's code may raise anything
        reason = internals.without_colours(str(error)).strip().rstrip(".")
        raise ValueError(
            f"The quantity {type(quantity).__name__} cannot be measured: {type(error).__name__}: "
            f"{reason}. Keras traces `init` and `update`, so they may use `keras.ops` only."
        ) from error


def initial_state(quantity: StepQuantity, variable: keras.Variable) -> tuple[Any, ...]:
    """Returns the initial state of a variable, in memory of its own."""
    state = called(quantity, quantity.init, variable)
    if not _is_several(state):
        raise ValueError(
            f"`init` of the quantity {type(quantity).__name__} must return a tuple of tensors: "
            f"`return (state,)`; received {type(state).__name__}."
        )

    def copied() -> tuple[Any, ...]:  # a state may be the variable itself, which training changes
        return tuple(keras.ops.copy(keras.ops.convert_to_tensor(value)) for value in state)

    return called(quantity, copied)


def numbers_of(
    quantity: StepQuantity, variables: Sequence[keras.Variable], initial: Sequence[tuple[Any, ...]]
) -> int:
    """Returns how many numbers a quantity adds up for each variable."""
    at_once = type(quantity).update_all is not StepQuantity.update_all
    return (quantity.numbers if at_once else None) or _by_trial(quantity, variables, initial)


def check_result(quantity: StepQuantity, numbers: int) -> None:
    """Calls `result` once before training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            results_of(quantity, np.ones((1, numbers)), np.ones(1, "int64"))
        except ValueError as error:
            # These numbers may be none that occur in training.
            if not isinstance(error.__cause__, ArithmeticError | ValueError):
                raise


def results_of(quantity: StepQuantity, sums: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Returns what a quantity computes from its sums; errors name the quantity."""
    try:
        with np.errstate(all="ignore"):
            return quantity.results(sums, updates)
    except Exception as error:  # the user's code may raise anything
        raise ValueError(
            f"`result` of the quantity {type(quantity).__name__} must return a number; it raised "
            f"{type(error).__name__}: {str(error).strip().rstrip('.')}. It receives the sums of "
            "the numbers that `update` returned, and the number of updates."
        ) from error


def _by_trial(
    quantity: StepQuantity, variables: Sequence[keras.Variable], initial: Sequence[tuple[Any, ...]]
) -> int:
    """Returns how many numbers `update` adds up.

    `update` is called with symbolic tensors, once for each shape and dtype of variables.
    """
    known: dict[Any, int] = {}
    for variable, state in zip(variables, initial, strict=True):
        kind = tuple(variable.shape), variable.dtype
        if kind not in known:
            known[kind] = _numbers_of_one(quantity, variable, state)
    counts = sorted(set(known.values()))
    if len(counts) != 1:
        raise ValueError(
            f"`update` of the quantity {type(quantity).__name__} must return equally many numbers "
            f"for all variables; received {' and '.join(map(str, counts))} numbers."
        )
    return counts[0]


def _numbers_of_one(
    quantity: StepQuantity, variable: keras.Variable, state: tuple[Any, ...]
) -> int:
    name = type(quantity).__name__
    like = keras.KerasTensor(tuple(variable.shape), variable.dtype)
    weights = (like, like) if quantity.needs_weights else (None, None)
    given = tuple(keras.KerasTensor(*_kind(value)) for value in state)
    update = _without_writing(quantity)
    returned = called(quantity, internals.output_spec, update, given, like, *weights)
    if not (_is_several(returned) and len(returned) == 2 and all(map(_is_several, returned))):
        raise ValueError(
            f"`update` of the quantity {name} must return the new state and the numbers to add up, "
            "each as a tuple: `return state, (number,)`."
        )
    new, numbers = returned
    if list(map(_kind, new)) != list(map(_kind, given)):
        raise ValueError(
            f"`update` of the quantity {name} must return a state of the same shapes and dtypes "
            f"as `init`, {list(map(_kind, given))}; received {list(map(_kind, new))}."
        )
    for number in numbers:
        if not (isinstance(number, bool | int | float) or hasattr(number, "dtype")):
            raise ValueError(
                f"`update` of the quantity {name} must return scalars to add up; received "
                f"{number!r}."
            )
        if getattr(number, "shape", ()) not in ((), (1,)):
            raise ValueError(
                f"`update` of the quantity {name} must return scalars to add up; received a "
                f"tensor of shape {tuple(number.shape)}."
            )
    if not numbers:
        raise ValueError(
            f"`update` of the quantity {name} must return at least one number to add up; received "
            "none."
        )
    return len(numbers)


def _without_writing(quantity: StepQuantity) -> Callable[..., Any]:
    """Returns `update`, which raises an error if it writes into what it receives.

    Only torch lets it do so. Other quantities receive the same tensors.
    """

    def update(*given: Any) -> Any:
        tensors = [each for each in keras.tree.flatten(given) if each is not None]
        before = [getattr(each, "_version", 0) for each in tensors]
        returned = quantity.update(*given)
        if before != [getattr(each, "_version", 0) for each in tensors]:
            raise TypeError(
                "`update` writes into a tensor that it received, which others read, too. Compute "
                "a new tensor, for example `2 * gradient` in place of `gradient.mul_(2)`"
            )
        return returned

    return update


def _is_several(values: Any) -> bool:
    return isinstance(values, tuple | list)


def _kind(tensor: Any) -> tuple[tuple[int, ...], str]:
    """Returns the shape and dtype of a tensor, or () and the type's name of a Python number."""
    if not hasattr(tensor, "dtype"):
        return (), type(tensor).__name__
    return tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype)
