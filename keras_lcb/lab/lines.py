"""A lab in one line, as "copy settings" and the address of a page give it."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_lcb.lab.presets import preset_named
from keras_lcb.lab.settings import Settings, from_query

DEFAULT = "depth"  # the lab of a line that names none


def read_line(text: str, name: str) -> tuple[str, Settings, dict[str, Any]]:
    """Reads what a line says of a lab; what it leaves out has its default.

    Args:
        text: The line.
        name: Which lab it is for.

    Returns:
        The preset, all settings, and how the lab is to look.

    Raises:
        ValueError: If it is another lab's, names what a lab does not have, or a value is none of
            its kind.

    Example:
        >>> preset, settings, look = read_line("depth=3&projector=true", "depth")
        >>> preset, settings.depth, look
        ('bias', 3, {'projector': True})
    """
    given = from_query(text)
    lab = given.pop("lab", name)
    if lab != name:
        raise ValueError(f"That line is of a lab named '{lab}'; this one is '{name}'.")
    look = _look(given)
    preset = given.pop("preset", "bias")
    start = dataclasses.asdict(preset_named(preset).settings)
    unknown = [setting for setting in given if setting not in start]
    if unknown:
        known = ", ".join(["preset", *start, "show", "pictures", "predict", "projector"])
        raise ValueError(f"A lab has no setting '{unknown[0]}'; it has {known}.")
    changed: dict[str, Any] = {**start, **given}
    return preset, Settings(**changed), look


def _look(given: dict[str, str]) -> dict[str, Any]:
    """Takes what concerns the look out of a line's values."""
    look: dict[str, Any] = {}
    for name in ("show", "pictures"):
        if name in given:
            look[name] = tuple(part for part in given.pop(name).split(",") if part)
    for name in ("predict", "projector"):
        if name in given:
            value = given.pop(name)
            truth = {"true": True, "false": False}.get(value.lower())
            look[name] = value if truth is None else truth
    if not isinstance(look.get("projector", False), bool):
        raise ValueError(f"`projector` is true or false, got {look['projector']!r}.")
    return look
