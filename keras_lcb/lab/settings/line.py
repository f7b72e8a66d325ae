"""Reads a lab from one line of text, as "Copy settings" and the address of a page give it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_lcb.lab.settings.declared import Declared
from keras_lcb.lab.settings.presets import PRESETS, Preset, preset_named
from keras_lcb.lab.settings.query import from_query

DEFAULT = "depth"  # the lab of a line without a `lab`


def read_line(
    text: str, name: str, presets: Mapping[str, Preset] = PRESETS
) -> tuple[str, Declared, dict[str, Any]]:
    """Reads the description of a lab. Settings that it does not name have those of the preset.

    Args:
        text: The line.
        name: The name of the lab that reads it.
        presets: The presets of that lab, the first of which is the default. Defaults to those of
            labs on functions.

    Returns:
        The name of the preset, all settings, and the arguments of the lab's appearance.

    Raises:
        ValueError: If the line belongs to another lab, names an unknown setting, or has a value
            that is not valid.

    Example:
        >>> preset, settings, look = read_line("depth=3&projector=true", "depth")
        >>> preset, settings.depth, look
        ('bias', 3, {'projector': True})
    """
    given = from_query(text)
    lab = given.pop("lab", name)
    if lab != name:
        raise ValueError(
            f"The line must describe the lab '{name}'; received one for the lab '{lab}'."
        )
    look = _look(given)
    preset = given.pop("preset", next(iter(presets)))
    start = preset_named(preset, presets).settings
    unknown = [setting for setting in given if setting not in start.declared()]
    if unknown:
        known = ", ".join(["preset", *start.declared(), "show", "pictures", "predict", "projector"])
        raise ValueError(f"The settings of a lab are {known}; received '{unknown[0]}'.")
    changed: dict[str, Any] = dict(given)
    return preset, dataclasses.replace(start, **changed), look


def _look(given: dict[str, str]) -> dict[str, Any]:
    """Removes the values about appearance from a line's values, and returns them."""
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
        raise ValueError(f"`projector` must be true or false; received {look['projector']!r}.")
    return look
