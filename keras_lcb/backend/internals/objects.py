"""Attributes of any object: replaced for a while, or stored where Keras does not track them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def replaced(owner: Any, attributes: dict[str, Any]) -> Iterator[None]:
    """Replaces attributes of one object within this context.

    Keras does not track these attributes. The object's class and its other objects stay as they
    are.

    Args:
        owner: The object, or a class of torch.
        attributes: The new values, by name.
    """
    kind = type if isinstance(owner, type) else object
    kept = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    for name, value in attributes.items():
        kind.__setattr__(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            if name in kept:
                kind.__setattr__(owner, name, kept[name])
            else:
                kind.__delattr__(owner, name)


def remember(owner: Any, name: str, value: Any) -> None:
    """Stores a value on an object, where Keras does not track it, and where it lives as long."""
    object.__setattr__(owner, name, value)


def remembered(owner: Any, name: str) -> Any:
    """Returns what `remember` has stored, or `None`."""
    return vars(owner).get(name)


def without_colours(text: str) -> str:
    """Returns a message of Keras without the codes that colour it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def is_of_keras(function: Callable[..., Any]) -> bool:
    """Returns whether a function belongs to Keras or to this package."""
    return function.__module__.startswith(("keras.", "keras_lcb."))
