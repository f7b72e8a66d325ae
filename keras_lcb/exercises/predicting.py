"""Predictions that a learner writes down before seeing the result."""

from __future__ import annotations

from typing import Any

from keras_lcb.exercises import reading


def predicted(prediction: Any, outcome: Any) -> str:
    """Returns a prediction and the outcome, side by side.

    A prediction is not graded. Comparing it with the outcome is what the learner learns from.

    Args:
        prediction: What the learner expected; `...` or `None` if there is no prediction yet.
        outcome: What the run shows.

    Example:
        >>> print(predicted("layer_0", "layer_2"))
        You predicted: layer_0
        The run shows: layer_2
        They differ: what did you take into account, and what not?
    """
    if reading.is_open(prediction):
        return f"You predicted: nothing yet\nThe run shows: {_text(outcome)}"
    same = _same(prediction, outcome)
    remark = (
        "They agree: would they with another seed?"
        if same
        else "They differ: what did you take into account, and what not?"
    )
    return f"You predicted: {_text(prediction)}\nThe run shows: {_text(outcome)}\n{remark}"


def _same(prediction: Any, outcome: Any) -> bool:
    """Returns whether both say the same; predictions are read in any form, as answers are."""
    if isinstance(outcome, list | tuple):
        given = reading.sequence(prediction) or []
        return len(given) == len(outcome) and all(map(_same, given, outcome))
    number = reading.number(outcome)
    if number is not None:
        return reading.number(prediction) == number
    return reading.name(prediction, [str(outcome)]) is not None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
