"""Checks the settings of the functions of this room, so that errors name the setting."""

from __future__ import annotations

import numbers
from typing import Any


def whole_number(name: str, value: Any, least: int) -> int:
    """Returns a setting as an integer.

    Args:
        name: Name of the setting, for the message.
        value: The setting.
        least: Its smallest value.

    Raises:
        ValueError: If the setting is not a whole number, or is below `least`.

    Example:
    >>> whole_number("seed", None, least=0)
    Traceback (most recent call last):
    ValueError: `seed` must be a whole number, 0 or more; received None.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"`{name}` must be a whole number, {least} or more; received {value!r}.")
    return int(value)


def is_between(value: Any, least: float, most: float) -> bool:
    """Returns whether a setting is a number between two others, and not one of these."""
    return isinstance(value, numbers.Real) and least < float(value) < most
