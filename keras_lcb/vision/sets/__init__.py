"""Labelled images that need no download, one set a file: the module `digits` defines `digits`.

To add a set, add a module to this folder: `vision.load` finds it by its name. The function returns
`StoredImages`. `vision.load` passes unknown arguments on to it.
"""

from __future__ import annotations

import importlib
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
        ValueError: If an argument is out of its range.

    Example:
        >>> read("digits").sizes
        {'train': 1797}
    """
    return getattr(importlib.import_module(f"{__name__}.{name}"), name)(**arguments)
