"""A training of a model of one's own."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect

RECORDS = 100  # at least, where the number of updates is known


@dataclass(frozen=True)
class Config:
    """What a member of `experiments.study` is told, beside the functions.

    Args:
        settings: Arguments of the function that builds the model.
        epochs: As many again follow them, which are not looked at.
        batch_size: Of arrays.
        seed: Of everything random.
    """

    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    epochs: int = 10
    batch_size: int = 32
    seed: int = 0

    def to_json(self) -> str:
        """Returns the settings as JSON text, in which objects have no address in memory."""
        return json.dumps(dataclasses.asdict(self), default=_without_address)


def _without_address(value: Any) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def run(build: Callable[..., keras.Model], data: Any, config: Config) -> xr.Dataset:
    """Trains a model for twice its epochs, with distances and gradient norms recorded.

    Args:
        build: Takes `seed` and the settings; returns a compiled model.
        data: `(x, y)`, a data set as `fit` takes it, or a function without arguments that
            returns one of these.
        config: The settings.

    Raises:
        ValueError: If what `build` returns is no compiled model.
    """
    # So that layers without names of their own have the same ones with each seed.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(config.seed)
    model = build(seed=config.seed, **config.settings)
    if not isinstance(model, keras.Model) or not getattr(model, "optimizer", None):
        raise ValueError(
            f"`build` must return a compiled Keras model; it returned {model!r}. Call "
            "`model.compile(optimizer, loss)` in it."
        )
    given = data() if callable(data) else data
    x, y, batch_size = (*given, config.batch_size) if _are_arrays(given) else (given, None, None)
    epochs = 2 * config.epochs
    every: Any = "epoch"
    if batch_size is not None:
        every = max(1, epochs * math.ceil(len(keras.tree.flatten(x)[0]) / batch_size) // RECORDS)
    recorders = [LayerConvergence(every=every), GradientNorms(every=every)]
    # Datasets come in batches and in an order of their own.
    sized = {"shuffle": False} if batch_size is None else {"batch_size": batch_size}
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=recorders, **sized)
    return schema.of_experiment(collect(*recorders), __name__, config)


def _are_arrays(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2
