"""One experiment on images: settings in, a run out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.training.settings import (
    check_training,
    new_optimizer,
    read_settings,
    whole_number,
)
from keras_lcb.vision.data import DIGITS, ImageData, load
from keras_lcb.vision.networks import build_cnn

_WHOLE = ("depth", "width", "batch_size", "updates", "record_every")


@dataclass(frozen=True)
class Config:
    """All settings of an experiment on images.

    Args:
        data: A set that `vision.load` knows.
        depth: Convolutions.
        width: Channels of each.
        residual: Whether each block's input is added to its output.
        normalization: Whether batch normalisation stands before each ReLU.
        batch_size: Images an update.
        optimizer: `"sgd"`, `"momentum"` (SGD with `momentum`), or another that Keras knows by
            name, with its own defaults.
        learning_rate: Of the optimiser, constant.
        momentum: Of the optimiser `"momentum"`; others take none from here.
        updates: How many, a multiple of `record_every`.
        record_every: Updates between records.
        seed: Of the initial weights and of the order of the images.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> config = Config(depth=3, updates=40)
        >>> Config.from_json(config.to_json()) == config
        True
    """

    data: str = DIGITS
    depth: int = 6
    width: int = 16
    residual: bool = False
    normalization: bool = False
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    updates: int = 800
    record_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (*_WHOLE, "seed"):
            least = 0 if name == "seed" else 1
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        check_training(self)

    def to_json(self) -> str:
        """Return the settings as JSON text, in which equal settings are equal."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the settings that `to_json` wrote.

        Raises:
            ValueError: If they are none.
        """
        return cls(**read_settings(cls, text))


def run(config: Config, callbacks: Sequence[keras.callbacks.Callback] = ()) -> xr.Dataset:
    """Train a convolutional network on images and record how its layers do.

    It trains through `model.fit` with `LayerConvergence` and `GradientNorms`; the global seeds
    stay as they are.

    Args:
        config: The settings.
        callbacks: Further callbacks; those with `results` become part of the run.

    Returns:
        The run. Its settings hold those of `config` under `"Config"`, for `Config.from_json`.

    Raises:
        ValueError: If the data set is unknown or out of reach.

    Example:
        >>> result = run(Config(depth=2, width=4, updates=4, record_every=2))
        >>> result.step.values.tolist(), result.layer.values.tolist()
        ([0, 2, 4], ['conv_0', 'conv_1', 'head'])
    """
    data = load(config.data, batch_size=config.batch_size, seed=config.seed)
    recorders = [LayerConvergence(), GradientNorms()]
    compiled_model(config, data).fit(
        data.train.repeat().prefetch(tf.data.AUTOTUNE),
        epochs=config.updates // config.record_every,
        steps_per_epoch=config.record_every,
        shuffle=False,
        verbose=0,
        callbacks=[*recorders, *callbacks],
    )
    recorded = collect(*recorders, *(each for each in callbacks if hasattr(each, "results")))
    return schema.of_experiment(recorded, "keras_lcb.vision", config)


def compiled_model(config: Config, data: ImageData) -> keras.Model:
    """Return the network of an experiment on given data, compiled."""
    model = build_cnn(
        data.shape,
        data.classes,
        config.depth,
        config.width,
        config.normalization,
        config.residual,
        config.seed,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(new_optimizer(config), loss)
    return model
