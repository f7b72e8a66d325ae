"""The settings of a lab as one line that can be copied."""

from __future__ import annotations

import html

import ipywidgets as widgets

from keras_lcb.lab.screen.page_address import PageAddress

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
        self._text = widgets.HTML(layout={"width": "100%"})
        self._address: PageAddress | None = None
        self.widget = widgets.VBox([self._text])
        self.line = ""

    def follow(self) -> None:
        """From now on, keeps the settings also in the address of the page."""
        self._address = PageAddress()
        self._address.add_class("keras-lcb-address")
        self.widget.children = (self._text, self._address)

    def show(self, config: str) -> None:
        """Shows the line for this config."""
        self.line = f'{self._constructor}("{config}")'
        line = html.escape(self.line, quote=True)
        if self._address is not None:
            self._address.query = config
        self._text.value = (
            "<div class='keras-lcb-share'><label>This lab in one line "
            f"<input type='text' readonly value='{line}'>"
            f'<button type="button" onclick="{_COPY}">Copy settings</button></label></div>'
        )
