"""Models to measure, one file a kind. A function with `@case` is a model, and nothing lists it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

ALL = ("tensorflow", "jax", "torch")


@dataclasses.dataclass
class Case:
    """A model with the data on which it is trained.

    Attributes:
        model: The model, not compiled.
        x: Its inputs.
        y: Its targets, or `None`: random numbers of its output's shape.
        loss: Its loss. Defaults to the mean squared error.
        batch_size: Samples in a batch. Defaults to all samples.
        clones: Whether `keras.models.clone_model` or its `from_config` can copy it.
        saves: Whether it can be saved and loaded.
        steady: Whether nothing but updates changes the weights that train.
        compile: Further arguments of `compile`.
    """

    model: keras.Model
    x: Any
    y: Any = None
    loss: Any = "mse"
    batch_size: int | None = None
    clones: bool = True
    saves: bool = True
    steady: bool = True
    compile: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Named:
    """A function that makes a case, with its name and the backends that have the model."""

    name: str
    make: Callable[[], Case]
    backends: tuple[str, ...]


_found: dict[str, Named] = {}


def case(name: str, backends: tuple[str, ...] = ALL) -> Callable[[Callable[[], Case]], Any]:
    """Declares a function that makes a case."""

    def declare(make: Callable[[], Case]) -> Callable[[], Case]:
        if name in _found:
            raise ValueError(f"There are two models '{name}'.")
        _found[name] = Named(name, make, backends)
        return make

    return declare


def cases(kind: str | None = None) -> Iterator[Named]:
    """Yields the models of a file of this folder, or of all files, for the backend in use."""
    for module in pkgutil.iter_modules(__path__):
        if kind in (None, module.name):
            importlib.import_module(f"{__name__}.{module.name}")
    for named in _found.values():
        # A partial function knows its module only by the function that it calls.
        own = getattr(named.make, "func", named.make).__module__.rpartition(".")[2]
        if kind in (None, own) and keras.backend.backend() in named.backends:
            yield named


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns normal random numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def whole(below: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Returns whole random numbers from 0 to below `below`."""
    return np.random.default_rng(seed).integers(0, below, size=shape)
