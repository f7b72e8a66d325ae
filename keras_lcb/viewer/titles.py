"""What stands above the picture of a quantity."""

from __future__ import annotations

from keras_lcb.runs.names import VARIABLES


def told(name: str) -> str:
    """Returns what tells a value of a further dimension, such as ", step size 0.03"; else "".

    Example:
        >>> told("gradient_cosine/step_size=0.03"), told("distance")
        (', step size 0.03', '')
    """
    _, _, chosen = name.partition("/")
    return f", {chosen.replace('_', ' ').replace('=', ' ')}" if chosen else ""


def title(name: str) -> dict[str, str]:
    """Returns the entry `title` of a quantity in the form; none if its long name is short.

    Example:
        >>> title("relative_gradient_change/step_size=0.03")
        {'title': 'relative gradient change, step size 0.03'}
        >>> title("distance")
        {}
    """
    known = VARIABLES.get(name.partition("/")[0])
    return {"title": known.title + told(name)} if known is not None and known.title else {}
