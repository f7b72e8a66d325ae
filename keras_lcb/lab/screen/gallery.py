"""The pictures of a lab, in the viewer, with the sentence below them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.views.form import form_of
from keras_lcb.lab.views.layers import LayersView
from keras_lcb.viewer.widget import Viewer

_STALE = "keras-lcb-stale"


class Gallery:
    """Shows runs, one alone or two side by side, and says what they show.

    Args:
        panels: The viewer's panels.
        title: The title of the first view.
        view: The first view.

    Attributes:
        viewer: The viewer.
        widget: The widget of the pictures, which holds it.
        sentence: The widget of the sentence.
        said: The sentence.
    """

    def __init__(self, panels: Sequence[str], title: str, view: LayersView) -> None:
        self.viewer = Viewer({title: form_of(view)}, panels=panels)
        self.widget = widgets.Box([self.viewer])
        self.widget.add_class("keras-lcb-pictures")
        self.sentence = widgets.HTML()
        self.sentence.add_class("keras-lcb-sentence")
        self.said = ""
        self._at = -1  # the newest update of what goes on; -1 if nothing does

    def show(self, shown: Mapping[str, Mapping[str, Any]], said: str) -> None:
        """Shows runs in the viewer's form, by their titles, and says what they show."""
        self._at = -1
        self.stale("")
        self.viewer.show(shown)
        self.viewer.quantity = "normalized_distance"
        self.say(said)

    def go_on(
        self, beside: Mapping[str, Mapping[str, Any]], title: str, view: LayersView, said: str
    ) -> None:
        """Shows the next moment of a training.

        Args:
            beside: What is shown on its left.
            title: The title of the training.
            view: The view of the moment.
            said: What it shows.
        """
        if 0 <= self._at <= view.step:
            self.viewer.more(form_of(view))
        else:
            self.stale("")
            self.viewer.show({**beside, title: form_of(view)})
            # The distance to the newest weights is 0 now for every layer.
            self.viewer.quantity = "gradient_norm"
        self._at = view.step
        self.say(said, busy=True)

    def stale(self, why: str) -> None:
        """Greys the pictures and says why; with "", shows them as they were."""
        (self.widget.add_class if why else self.widget.remove_class)(_STALE)
        if why:
            self.say(why)

    def say(self, text: str, *, busy: bool = False) -> None:
        """Shows a sentence, which screen readers read out unless it will change soon."""
        self.said = text.strip()
        live = "off" if busy else "polite"
        self.sentence.value = f"<p aria-live='{live}'>{html.escape(self.said)}</p>"
