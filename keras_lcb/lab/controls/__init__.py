"""The controls of a lab, a file for each kind.

- `number`, `choice`, `formula`: the controls of the kinds of settings.
- `panel`: all controls of a lab.
- `labels`: labels that explain their terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Control(Protocol):
    """What a user sets one thing with.

    Attributes:
        widget: What is shown.
    """

    widget: Any

    @property
    def value(self) -> Any:
        """What is set; a control that holds something invalid gives the last valid value."""

    @value.setter
    def value(self, value: Any) -> None: ...

    @property
    def wrong(self) -> str:
        """What is wrong with what the user has written; "" if nothing is."""

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when another value is set."""

    def disable(self, disabled: bool) -> None:
        """Refuses or accepts changes."""
