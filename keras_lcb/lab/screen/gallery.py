"""The pictures of a lab with the sentence below them."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.pictures.canvas import Canvas, Look
from keras_lcb.lab.screen.history import Entry


class Gallery:
    """Draws views, one alone or two side by side, and says what they show.

    Args:
        declared: What makes the lab.
        names: The names of the pictures.
        look: The sizes of text and lines.

    Attributes:
        image: The widget of the pictures.
        sentence: The widget of the sentence.
        said: The sentence.
        canvas: What draws.
    """

    def __init__(self, declared: Declaration, names: tuple[str, ...], look: Look) -> None:
        self._declared = declared
        panels = {name: declared.panels[name] for name in names}
        self.canvas = Canvas(panels, look, declared.outline)
        self.image = widgets.Image(format="png")
        self.sentence = widgets.HTML()
        self.sentence.add_class("keras-lcb-sentence")
        self.said = ""

    def blank(self, said: str) -> None:
        """Shows no picture, and a sentence."""
        self.image.value = self.canvas.blank()
        self.say(said, busy=False)

    def show(self, view: Any, settings: Any, note: str, highlight: str, *, busy: bool) -> None:
        """Shows one view.

        Args:
            view: The view.
            settings: Its settings.
            note: The text before the description.
            highlight: The layer to highlight; "" for none.
            busy: Whether another view will follow soon.
        """
        self.image.value = self.canvas.draw([view], highlight, live=busy)
        self.say(f"{note} {self._declared.describe(view)}", busy=busy)

    def compare(
        self, beside: Entry, view: Any, settings: Any, highlight: str, *, busy: bool
    ) -> None:
        """Shows a past run on the left, and a view on the right; see `show`."""
        titles = (
            f"A, run {beside.number}: {beside.settings.in_words(settings)}",
            f"B: {settings.in_words(beside.settings)}",
        )
        self.image.value = self.canvas.draw([beside.view, view], highlight, titles, live=busy)
        described = self._declared.describe
        self.say(f"A: {described(beside.view)} B: {described(view)}", busy=busy)

    def say(self, text: str, *, busy: bool) -> None:
        """Shows a sentence, which screen readers read out unless it will change soon."""
        self.said = text.strip()
        live = "off" if busy else "polite"
        self.sentence.value = f"<p aria-live='{live}'>{html.escape(self.said)}</p>"
