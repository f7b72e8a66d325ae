"""Restores targets from JSON. The kinds of targets are in `sinusoids`, `waves` and `functions`.

A target is a frozen dataclass, and equal targets give the same values. A wave number is a number of
periods over the domain: wave number k is sin(kx) on [-π, π), and sin(2πkx) on [0, 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from keras_lcb.synthetic.functions import Function
from keras_lcb.synthetic.target import Target


def target_from_dict(settings: dict[str, Any]) -> Target:
    """Returns the target that a dict from `Target.to_dict` describes.

    Args:
        settings: The dict, which may have been stored as JSON in between.

    Raises:
        ValueError: If the dict does not describe a target, or describes a Python function.

    Example:
        >>> import json
        >>> from keras_lcb.synthetic import Step
        >>> target_from_dict(json.loads(json.dumps(Step().to_dict()))) == Step()
        True
    """
    if not isinstance(settings, dict):
        raise ValueError(f"A target must be a dict with a 'kind'; received {settings!r}.")
    values = dict(settings)
    kind = values.pop("kind", None)
    if kind == "Function":
        raise ValueError(
            f"Received the name of the function '{values.get('function')}', but the function "
            "itself is not kept in JSON. Build `Function(...)` with the function."
        )
    kinds = {each.__name__: each for each in _kinds_of(Target) if each is not Function}
    if kind not in kinds:
        raise ValueError(
            f"The 'kind' of a target must be one of {', '.join(kinds)}; received '{kind}'."
        )
    known = {field.name for field in dataclasses.fields(kinds[kind])}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"The settings of {kind} must be among {', '.join(sorted(known))}; received "
            f"'{unknown[0]}'."
        )
    try:
        return kinds[kind](**values)
    except TypeError as error:
        raise ValueError(
            f"Received settings from which no {kind} can be made: {settings!r} ({error})."
        ) from error


def _kinds_of(base: Any) -> Iterator[type[Target]]:
    """Yields all kinds of targets that have been defined, a user's own included."""
    for kind in base.__subclasses__():
        if not kind.__name__.startswith("_"):
            yield kind
        yield from _kinds_of(kind)
