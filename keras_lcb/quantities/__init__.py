"""Quantities that can be measured for each layer inside the training step, one file each.

Each subclass of `StepQuantity` that a file of this folder defines is public here. There is no list
of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from keras_lcb.quantities.step_quantity import StepQuantity


def _found() -> dict[str, type[StepQuantity]]:
    """Returns the quantities that the files of this folder define, by name."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    return {
        name: member
        for module in modules
        for name, member in vars(module).items()
        if isinstance(member, type)
        and issubclass(member, StepQuantity)
        and member.__module__ == module.__name__
    }


_FOUND = _found()
__all__ = ["StepQuantity", *sorted(set(_FOUND) - {"StepQuantity"})]


def __getattr__(name: str) -> Any:
    if name in _FOUND:
        return _FOUND[name]
    raise AttributeError(f"module '{__name__}' has no attribute {name!r}")
