"""Predictions that are written down before the result is seen."""

from __future__ import annotations

from typing import Any


def predicted(prediction: Any, outcome: Any) -> str:
    """Return a prediction and what came of it, side by side.

    A prediction is no exercise: there is nothing to get right, only something to notice.

    Args:
        prediction: What was expected; `...` or `None` for nothing.
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
