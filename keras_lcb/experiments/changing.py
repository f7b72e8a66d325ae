"""A claim with other settings, for a question of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.keys import key


def changed(claim: Claim, values: Mapping[str, Any], factors: Mapping[str, float]) -> Claim:
    """Returns a claim with other settings.

    Settings that are then the same are one, with what their names have in common: if all train with
    one optimizer, "digits, plain, sgd" and "digits, plain, adam" become "digits, plain".

    Args:
        claim: The claim.
        values: What each setting is to be, by its name; where a setting of the claim has it.
        factors: By what each setting is then multiplied.

    Raises:
        ValueError: If no setting of the claim has one of them, or it cannot have such a value.
    """
    known = {name for setting in claim.settings.values() for name in _fields(setting)}
    for name in [*values, *factors]:
        if name not in known:
            raise ValueError(f"There is no setting {name!r}; there are {', '.join(sorted(known))}.")
    alike: dict[str, dict[str, Setting]] = {}
    for name, setting in claim.settings.items():
        new = dataclasses.replace(setting, config=_with(setting, values, factors))
        alike.setdefault(key(new.engine, new.config), {})[name] = new
    settings: dict[str, Setting] = {}
    for same in alike.values():
        taken = {*settings, *claim.settings} - {*same}
        settings[_name(list(same), taken)] = next(iter(same.values()))
    said = [f"{name} = {value}" for name, value in values.items()]
    said += [f"{name} × {factor:g}" for name, factor in factors.items()]
    new_claim = dataclasses.replace(claim, settings=settings)
    note = f"{new_claim.noted} Here with {', '.join(said)}, whatever a setting is called.".lstrip()
    return dataclasses.replace(new_claim, note=note)


def _fields(setting: Setting) -> set[str]:
    return {field.name for field in dataclasses.fields(setting.config)}


def _with(setting: Setting, values: Mapping[str, Any], factors: Mapping[str, float]) -> Any:
    own = {name: value for name, value in values.items() if name in _fields(setting)}
    config = dataclasses.replace(setting.config, **own)
    scaled = {
        name: _times(name, getattr(config, name), factor)
        for name, factor in factors.items()
        if name in _fields(setting)
    }
    return dataclasses.replace(config, **scaled)


def _times(name: str, value: Any, factor: float) -> float:
    """Returns a multiple of a setting; of a whole number, a whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"`{name}` is no number that could be multiplied; it is {value!r}.")
    multiple = value * factor
    if isinstance(value, float):
        return multiple
    if multiple != int(multiple):
        raise ValueError(f"`{name}` is a whole number; received {value} × {factor:g}.")
    return int(multiple)


def _name(names: Sequence[str], taken: Collection[str]) -> str:
    """Returns the parts, between commas, that all names have; all names if that is no name."""
    first, *others = (name.split(", ") for name in names)
    common = ", ".join(part for part in first if all(part in other for other in others))
    return common if common and common not in taken else " = ".join(names)
