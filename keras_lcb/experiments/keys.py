"""How a run is found by its settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def key(engine: str, config: Any) -> str:
    """Returns the hash of an engine and of the settings that differ from their defaults.

    A setting that is added later, with a default that means what was done before, so leaves the
    keys of earlier runs as they are.

    Args:
        engine: Where the function from settings to a run is, as `"package.module:function"`.
        config: The settings, a dataclass with `to_json`.
    """
    changed = json.dumps(_changed(config), sort_keys=True)
    return hashlib.sha256(f"{engine} {changed}".encode()).hexdigest()[:20]


def made_with(settings: Mapping[str, Any], config: Any) -> bool | None:
    """Tells whether a run was made with given settings.

    Settings that the run does not name did not exist yet when it was made: they have to be at
    their defaults.

    Args:
        settings: What `runs.schema.settings` returns of the run.
        config: The settings, a dataclass with `to_json`.

    Returns:
        Whether it was; `None` if the run does not say with which settings it was made.
    """
    if "Config" not in settings:
        return None
    stored, wanted = settings["Config"], json.loads(config.to_json())
    return set(_changed(config)) <= set(stored) and all(
        name in wanted and wanted[name] == value for name, value in stored.items()
    )


def _changed(config: Any) -> dict[str, Any]:
    written = json.loads(config.to_json())
    return {
        field.name: written[field.name]
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != _default(field)
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
