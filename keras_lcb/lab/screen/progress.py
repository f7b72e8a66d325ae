"""What a training is doing, how far it is, and how long it will take."""

from __future__ import annotations

import html

import ipywidgets as widgets

from keras_lcb.lab.engine.session import Session, State


class Progress:
    """A bar and a line of text about a session.

    Attributes:
        status: The widget of the line.
        bar: The bar.
    """

    def __init__(self) -> None:
        self.status = widgets.HTML()
        self.bar = widgets.IntProgress(layout={"width": "100%", "height": "8px"})

    def show(self, session: Session, opening: str, must_predict: bool) -> None:
        """Shows the state of a session.

        Args:
            session: The session.
            opening: What happens before the first picture, if that takes long.
            must_predict: Whether a prediction is missing.
        """
        text = session.state.value
        if session.state is State.FAILED:
            text = f"{text}: {session.error}"
        if session.active:
            done, whole = session.progress
            self.bar.max, self.bar.value = whole, done
            text += f": update {done:,} of {whole:,}"
            if session.opening and opening:
                text = opening
            left = session.seconds_left
            if left is not None and session.state is State.RUNNING:
                text += f", about {max(1, round(left)):,} s left"
        elif must_predict:
            text += ": predict first, then Start"
        # A screen reader would otherwise read out every picture's progress.
        live = "off" if session.state is State.RUNNING else "polite"
        self.status.value = f"<p role='status' aria-live='{live}'>{html.escape(text)}</p>"
