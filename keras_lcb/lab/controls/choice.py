"""The control of a choice: a list to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.controls.labels import LABEL_WIDTH, explained


class ChoiceControl:
    """A list to choose from.

    Args:
        label: The label.
        term: An explanation of it.
        options: Pairs (text, value), one for each choice.
        value: The initial value.
    """

    def __init__(
        self, label: str, term: str, options: Sequence[tuple[str, Any]], value: Any
    ) -> None:
        self.widget = widgets.Dropdown(
            options=options,
            value=value,
            description=explained(label, term),
            description_allow_html=True,
            tooltip=term,
            style={"description_width": LABEL_WIDTH},
            layout={"width": "auto"},
        )

    wrong = ""  # there is nothing to get wrong

    @property
    def value(self) -> Any:
        """What is chosen."""
        return self.widget.value

    @value.setter
    def value(self, value: Any) -> None:
        self.widget.value = value

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when another is chosen."""
        self.widget.observe(lambda _: act(), "value")

    def disable(self, disabled: bool) -> None:
        """Refuses or accepts changes."""
        self.widget.disabled = disabled

    def choose(self, value: Any) -> None:
        """Chooses a value, if it is among the options."""
        if value in [option for _, option in self.widget.options]:
            self.value = value

    def offer(self, options: Sequence[tuple[str, Any]]) -> None:
        """Replaces the choices. The current choice stays if it is still among them."""
        chosen = self.value
        if list(self.widget.options) != list(options):
            self.widget.options = options
            values = [value for _, value in options]
            self.value = chosen if chosen in values else values[0]
