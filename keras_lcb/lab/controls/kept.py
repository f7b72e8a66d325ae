"""The control of what is not set by hand: it keeps a value, and shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class KeptControl:
    """Keeps a value.

    Args:
        value: The value.
    """

    widget: Any = None
    wrong = ""

    def __init__(self, value: Any) -> None:
        self.value = value

    def observe(self, act: Callable[[], None]) -> None:
        """Does nothing, since nobody changes the value."""

    def disable(self, disabled: bool) -> None:
        """Does nothing."""
