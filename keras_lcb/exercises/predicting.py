"""Predictions that a learner writes down before seeing the result."""

from __future__ import annotations

from typing import Any


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
    if prediction is None or prediction is ...:
        return f"You predicted: nothing yet\nThe run shows: {_text(outcome)}"
    same = _text(prediction).strip().lower() == _text(outcome).strip().lower()
    remark = (
        "They agree: would they with another seed?"
        if same
        else "They differ: what did you take into account, and what not?"
    )
    return f"You predicted: {_text(prediction)}\nThe run shows: {_text(outcome)}\n{remark}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
