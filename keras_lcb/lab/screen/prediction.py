"""Predictions: the user must predict before Start, and later sees prediction and outcome."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from keras_lcb.lab.views.questions import Question


class Prediction:
    """The widget that asks a question, and later shows the outcome beside the answer.

    Args:
        question: The question.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self._answers = widgets.RadioButtons(
            options=question.answers,
            value=None,
            tooltip="Choose an answer. Then you can start the training.",
            layout={"width": "100%"},
        )
        self._ask = widgets.HTML(f"<b>Predict:</b> {html.escape(question.text)}")
        self._outcome = widgets.HTML()
        self.widget = widgets.VBox([self._ask, self._answers, self._outcome])
        self.widget.add_class("keras-lcb-predict")

    @property
    def answer(self) -> str | None:
        """The user's prediction; `None` if there is none yet."""
        return self._answers.value

    def observe(self, act: Callable[[], None]) -> None:
        """Calls `act` when the answer changes."""
        self._answers.observe(lambda _: act(), "value")

    def ask(self) -> None:
        """Asks again, without an answer."""
        self._answers.value = None
        self._outcome.value = ""

    def lock(self, locked: bool) -> None:
        """Locks the answer while training runs, or unlocks it."""
        self._answers.disabled = locked

    def compare(self, view: Any) -> str:
        """Shows the outcome beside the prediction, and returns both in a few words."""
        right, seen = self.question.outcome(view)
        predicted = self.answer or "nothing"
        self._outcome.value = (
            "<table><tr><th scope='row'>predicted</th>"
            f"<td>{html.escape(predicted)}</td></tr>"
            f"<tr><th scope='row'>observed</th><td>{html.escape(right)}</td></tr></table>"
            f"{html.escape(seen)}"
        )
        return f"predicted {predicted}; observed {right}"
