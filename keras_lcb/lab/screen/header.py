"""What stands above a lab: its title, its question, and what to do first."""

from __future__ import annotations

import html

import ipywidgets as widgets


def header(title: str, question: str, predict: bool) -> widgets.Widget:
    """Returns the header of a lab.

    Args:
        title: The title.
        question: What the lab is about, in one sentence.
        predict: Whether the user must predict before Start.
    """
    first = "Predict, then press Start" if predict else "Press Start"
    shown = widgets.HTML(
        f"<h2>{html.escape(title)}</h2><p>{html.escape(question)} <b>{first}</b>"
        "<span class='keras-lcb-then'>; then change one setting and train again</span>.</p>",
        layout={"width": "100%"},
    )
    shown.add_class("keras-lcb-header")
    return shown
