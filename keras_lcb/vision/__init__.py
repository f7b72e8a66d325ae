"""Image data and image networks, for demonstrations and experiments.

Modules are imported on first use. The networks need only Keras; the data need TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_lcb.vision import networks

if TYPE_CHECKING:
    from keras_lcb.vision.data import ImageData, load
    from keras_lcb.vision.experiment import Config, run

_ON_FIRST_USE = {
    "Config": "keras_lcb.vision.experiment",
    "ImageData": "keras_lcb.vision.data",
    "load": "keras_lcb.vision.data",
    "run": "keras_lcb.vision.experiment",
}

__all__ = ["Config", "ImageData", "load", "run", *(f"build_{name}" for name in networks.NAMES)]


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    if name in __all__:
        return getattr(networks, name)
    raise AttributeError(f"module '{__name__}' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
