"""The buttons that begin, pause and end a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

_ABOUT = {
    "Start": "Start or continue the training",
    "Pause": "Pause the training; Start continues it",
    "Step": "Train up to the next record, then pause",
    "Stop": "End the training and keep its records",
    "Reset": "End the training and discard its records",
    "Example": "Show a finished run with these settings, which comes with the lab",
}


class Buttons:
    """Buttons, each of which calls the method of a lab that has its name.

    Args:
        lab: An object with the methods `start`, `pause`, `step`, `stop`, `reset` and `example`.

    Attributes:
        by_name: The buttons by their names.
        widget: All of them.
    """

    def __init__(self, lab: Any) -> None:
        self.by_name = {
            name: widgets.Button(description=name, tooltip=about, layout={"width": "auto"})
            for name, about in _ABOUT.items()
        }
        for button in self.by_name.values():
            button.on_click(lambda clicked: getattr(lab, clicked.description.lower())())
        self.widget = widgets.HBox(list(self.by_name.values()), layout={"flex_flow": "row wrap"})

    def enable(self, enabled: Mapping[str, bool]) -> None:
        """Enables or disables each button."""
        for name, button in self.by_name.items():
            button.disabled = not enabled[name]
