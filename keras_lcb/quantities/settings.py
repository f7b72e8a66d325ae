"""The settings of a quantity: what its numbers depend on besides its code."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_lcb.quantities.step_quantity import StepQuantity


def settings_of(quantity: StepQuantity) -> dict[str, Any]:
    """Returns a copy of a quantity's attributes, which can be compared with those of another.

    Attributes of its class count, too. Numbers, text, arrays, and lists and the like of these are
    compared by their values. All else, such as a layer, is equal to itself only.
    """
    found: dict[str, Any] = {"": type(quantity)}
    for kind in reversed(type(quantity).__mro__[:-1]):
        found |= {n: v for n, v in vars(kind).items() if not (n[:2] == "__" or _is_code(v))}
        slots = getattr(kind, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(quantity, name):
                found[name] = getattr(quantity, name)
    found |= getattr(quantity, "__dict__", {})
    return {name: _copied(value) for name, value in found.items()}


def same(one: StepQuantity, other: StepQuantity) -> bool:
    """Returns whether two quantities measure the same: equal class, equal settings."""
    return settings_of(one) == settings_of(other)


def _is_code(value: Any) -> bool:
    return callable(value) or hasattr(value, "__get__")


def _copied(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return type(value), repr(value)  # in which NaN equals NaN, and 1 is not True
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return "array", str(value.dtype), np.shape(value), value.tobytes()
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_copied, value))
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(_copied, value))
    if isinstance(value, dict):
        return type(value), tuple((_copied(k), _copied(v)) for k, v in value.items())
    return _Itself(value)


class _Itself:
    """Equal only for the same object, which it keeps."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
