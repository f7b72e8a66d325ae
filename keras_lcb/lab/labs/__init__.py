"""The labs, a file each. There is no list of them: a file here that declares a lab adds it."""

from __future__ import annotations

import importlib
import pkgutil

from keras_lcb.lab.lab import Lab


def labs() -> dict[str, type[Lab]]:
    """Returns the labs by the names of their classes."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {lab.__name__: lab for lab in Lab.known.values()}
