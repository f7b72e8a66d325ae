"""The settings of a lab as one line that can be copied."""

from __future__ import annotations

import html

import ipywidgets as widgets

# In an attribute, since pages run a handler there, but would not run a script element.
_COPY = (
    "const line = this.previousElementSibling; line.select(); "
    "navigator.clipboard ? navigator.clipboard.writeText(line.value) : "
    "document.execCommand('copy'); this.textContent = 'Copied';"
)


class Sharing:
    """A line of code that rebuilds the lab, with a button that copies it.

    Args:
        constructor: The function that the line calls.
    """

    def __init__(self, constructor: str) -> None:
        self._constructor = constructor
        self.widget = widgets.HTML(layout={"width": "100%"})
        self.line = ""
        self.in_address = False  # whether the address of the page follows

    def show(self, config: str) -> None:
        """Shows the line for this config."""
        self.line = f'{self._constructor}("{config}")'
        line = html.escape(self.line, quote=True)
        # The config is a query of plain characters. Pages run a handler in an attribute.
        follow = f"history.replaceState(null, '', '?{config}')"
        address = f'<style onload="{html.escape(follow)}"></style>' if self.in_address else ""
        self.widget.value = (
            "<div class='keras-lcb-share'><label>This lab in one line "
            f"<input type='text' readonly value='{line}'>"
            f'<button type="button" onclick="{_COPY}">Copy settings</button></label>{address}</div>'
        )
