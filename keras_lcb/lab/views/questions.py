"""Questions whose answers users predict, and what a view of a training answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_lcb.lab.views.layers import LayersView
from keras_lcb.lab.views.view import View

_CLOSE = 0.15  # times count as equal if they differ by less than this part of their median
_NOT_YET = "none of them"
_ONLY = "the only layer"


@dataclass(frozen=True)
class Question:
    """A question whose answer the user predicts.

    Attributes:
        text: The question.
        answers: The possible answers.
        outcome: A function of the view of a finished training. It returns the right answer, or
            another text if none of the answers is right; and a sentence about what was observed.
    """

    text: str
    answers: tuple[str, ...]
    outcome: Callable[[Any], tuple[str, str]]


def first_layer(view: LayersView) -> tuple[str, str]:
    """Returns where the layer is that comes half-way first, and a sentence about it."""
    when = view.half_way[view.places]

    def seen(first: int, last: int) -> str:
        return (
            f"{view.hidden[first]} at update {when[first]:,.0f}, "
            f"{view.hidden[last]} at {when[last]:,.0f}."
        )

    return where_least(when, seen, "No layer came half-way.")


def where_least(
    values: np.ndarray, seen: Callable[[int, int], str], nowhere: str
) -> tuple[str, str]:
    """Returns where in the network the layer with the smallest value is, and a sentence about it.

    Args:
        values: One value for each hidden layer. Values that are not finite do not count.
        seen: A function of the layers with the smallest and the largest value that returns the
            sentence.
        nowhere: The sentence if no value is finite.
    """
    if len(values) == 1:
        return _ONLY, "No other hidden layer to compare it with."
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return _NOT_YET, nowhere
    first, last = int(known[values[known].argmin()]), int(known[values[known].argmax()])
    apart, middle = values[last] - values[first], abs(np.median(values[known]))
    if known.size == len(values) and apart < _CLOSE * middle:
        return LAYER_ANSWERS[3], seen(first, last)
    third = int(3 * (first + 0.5) / len(values))  # in which the middle of the layer is
    return LAYER_ANSWERS[third], seen(first, last)


def first_frequency(view: View) -> tuple[str, str]:
    """Returns which frequencies are learned by half first, and a sentence about it."""
    known = np.isfinite(view.learned)
    if not known.any():
        return _NOT_YET, "No wave was learned by half."
    times = ", ".join(
        f"{k} at update {when:,.0f}" if np.isfinite(when) else f"{k} never"
        for k, when in zip(view.frequencies, view.learned, strict=True)
    )
    seen = f"Wave numbers learned by half: {times}."
    when = np.where(known, view.learned, np.inf)
    if known.all() and np.ptp(when) < _CLOSE * np.median(when):
        return FREQUENCY_ANSWERS[2], seen
    first_half = view.frequencies[when.argmin()] <= np.median(view.frequencies)
    return FREQUENCY_ANSWERS[0 if first_half else 1], seen


LAYER_ANSWERS = ("a shallow layer", "a layer in the middle", "a deep layer", "all about together")
FREQUENCY_ANSWERS = ("the slow waves", "the fast waves", "all about together")

LAYER = Question("Which layer comes half-way first?", LAYER_ANSWERS, first_layer)
QUESTIONS: dict[str, Question] = {
    "layer": LAYER,
    "frequency": Question("Which waves are learned first?", FREQUENCY_ANSWERS, first_frequency),
}
