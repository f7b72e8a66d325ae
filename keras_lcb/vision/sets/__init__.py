"""Labelled images that need no download, one set a file: the module `digits` defines `digits`.

To add a set, add a module to this folder: `vision.load` finds it by its name. The function returns
`StoredImages`. `vision.load` passes unknown arguments on to it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from keras_lcb.vision.stored import StoredImages

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))

__all__ = ["NAMES", "read"]


def read(name: str, **arguments: Any) -> StoredImages:
    """Returns the images of a set.

    Args:
        name: One of `NAMES`.
        **arguments: Arguments of the function of the set.

    Raises:
        ValueError: If an argument is out of its range, or the set does not take it.

    Example:
        >>> read("digits").sizes
        {'train': 1797}
    """
    make = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    taken = inspect.signature(make).parameters
    for argument in arguments:
        if argument not in taken:
            known = f"It takes: {', '.join(taken)}." if taken else "It takes none."
            raise ValueError(f"The set {name!r} takes no `{argument}`. {known}")
    return make(**arguments)
