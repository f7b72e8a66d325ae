"""Trainings in the shape of Keras' published examples, written anew, on made data; one a file.

A file has a function `make`, which returns a `Training`, and may have `BACKENDS`.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import keras

from battery.models import ALL


@dataclasses.dataclass
class Training:
    """A model and how it is trained.

    Attributes:
        model: The model, compiled.
        data: Arguments of `fit`, one batch an epoch; `None` if the training is a loop of its own.
        loop: A function that trains the model and calls its argument after each batch; `None`
            if `fit` trains it.
        one_update: Whether each layer has at most one update in a batch.
    """

    model: keras.Model
    data: dict[str, Any] | None = None
    loop: Callable[[Callable[[], object]], None] | None = None
    one_update: bool = True


def trainings() -> Iterator[ModuleType]:
    """Yields the files of this folder whose trainings run on the backend in use."""
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if keras.backend.backend() in getattr(module, "BACKENDS", ALL):
            yield module


def name_of(module: ModuleType) -> str:
    """Returns the name of a training."""
    return module.__name__.rpartition(".")[2].replace("_", " ")
