"""A claim with other settings, for a question of one's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from keras_lcb.experiments.claim import Claim, Setting
from keras_lcb.experiments.keys import key

SEED = "seed"


def changed(claim: Claim, values: Mapping[str, Any], factors: Mapping[str, float]) -> Claim:
    """Returns a claim with other settings.

    Settings that are then the same are one, with what their names have in common: if all train with
    one optimizer, "digits, plain, sgd" and "digits, plain, adam" become "digits, plain".

    Args:
        claim: The claim.
        values: What each setting is to be, by its name; where a setting of the claim has it.
        factors: By what each setting is then multiplied.

    Raises:
        ValueError: If no setting of the claim has one of them, it cannot have such a value, or it
            is the seed.
    """
    known = {name for setting in claim.settings.values() for name in _fields(setting)} - {SEED}
    if SEED in {*values, *factors}:
        raise ValueError(
            f"`{SEED}` is no setting to change, since each setting is trained with several. Choose "
            "them with --first-seed and --seeds."
        )
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
        name: _times(name, getattr(config, name), factor, getattr(setting.config, name))
        for name, factor in factors.items()
        if name in _fields(setting)
    }
    return dataclasses.replace(config, **scaled)


def _times(name: str, value: Any, factor: float, declared: Any) -> float:
    """Returns a multiple of a setting; a whole number where the claim declares one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"`{name}` is no number that could be multiplied; it is {value!r}.")
    multiple = value * factor  # perhaps with a rounding error: 100 × 1.1
    if not math.isfinite(multiple):
        raise ValueError(f"`{name}` must be finite; received {value!r} × {factor:g}.")
    if isinstance(value, float) or not isinstance(declared, int):  # such as a rate of 1
        return multiple
    if not math.isclose(multiple, nearest := round(multiple), rel_tol=1e-12):
        raise ValueError(f"`{name}` is a whole number; received {value} × {factor:g}.")
    return nearest


def _name(names: Sequence[str], taken: Collection[str]) -> str:
    """Returns the parts, between commas, that all names have; all names if that is no name."""
    first, *others = (name.split(", ") for name in names)
    common = ", ".join(part for part in first if all(part in other for other in others))
    return common if common and common not in taken else " = ".join(names)
