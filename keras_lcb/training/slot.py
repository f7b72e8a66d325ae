"""One quantity in a meter: its state on the device, and how many numbers it adds up."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from keras_lcb.backend import internals, ops
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.reader import Reader


class Slot:
    """Keeps the state of one quantity.

    Args:
        model: The model. The state is kept on its devices.
        quantity: The quantity.
        variables: The variables that are followed.

    Attributes:
        quantity: The quantity.
        numbers: How many numbers it adds up for each variable.
        state: Its state for each variable.
        readers: The readers whose updates the state stems from.

    Raises:
        ValueError: If the quantity cannot be traced.
    """

    def __init__(
        self, model: keras.Model, quantity: StepQuantity, variables: Sequence[keras.Variable]
    ) -> None:
        self.quantity = quantity
        self._variables = list(variables)
        initial = [tuple(_called(quantity, quantity.init, variable)) for variable in variables]
        self.numbers = quantity.numbers or _numbers_of(quantity, variables, initial)
        new = ops.VariableMaker(model)
        self.state = [
            tuple(new.of(value, variable, "state") for value in values)
            for variable, values in zip(variables, initial, strict=True)
        ]
        # Weak references, so that readers and their records can be deleted.
        self.readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._is_new = True

    def begin(self) -> None:
        """Sets the state to its initial value."""
        for variable, state in zip(self._variables, self.state, strict=True):
            if state:
                for kept, value in zip(state, self.quantity.init(variable), strict=True):
                    kept.assign(value)

    def go_on(self, readers: Iterable[Reader], former: Slot | None) -> None:
        """Takes up the state where it was left.

        Args:
            readers: Those that use the slot from now on.
            former: The slot for the same quantity and variables that they have used so far; `None`
                if the state begins anew.
        """
        if former is None:
            if not self._is_new:
                self.begin()
        elif former is not self:
            for own, others in zip(self.state, former.state, strict=True):
                for variable, other in zip(own, others, strict=True):
                    variable.assign(other)
            former.readers.difference_update(readers)
        self.readers, self._is_new = weakref.WeakSet(readers), False


def _called(quantity: StepQuantity, function: Callable[..., Any], *args: Any) -> Any:
    """Calls a method of a user's quantity; errors name the quantity."""
    try:
        return function(*args)
    except Exception as error:  # the user's code may raise anything
        reason = internals.without_colours(str(error)).strip().rstrip(".")
        raise ValueError(
            f"The quantity {type(quantity).__name__} cannot be measured: {type(error).__name__}: "
            f"{reason}. Keras traces `init` and `update`, so they may use `keras.ops` only."
        ) from error


def _numbers_of(
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
    gradient = keras.KerasTensor(tuple(variable.shape), keras.backend.floatx())
    weights = (like, like) if quantity.needs_weights else (None, None)
    given = tuple(keras.KerasTensor(*_kind(value)) for value in state)
    returned = _called(quantity, internals.output_spec, quantity.update, given, gradient, *weights)
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


def _is_several(values: Any) -> bool:
    return isinstance(values, tuple | list)


def _kind(tensor: Any) -> tuple[tuple[int, ...], str]:
    """Returns the shape and dtype of a tensor, or () and the type's name of a Python number."""
    if not hasattr(tensor, "dtype"):
        return (), type(tensor).__name__
    return tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype)
