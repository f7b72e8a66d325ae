"""One experiment on images: settings in, a run out."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.config import (
    check_training,
    new_optimizer,
    read_settings,
    whole_number,
)
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.vision.building import check_depths
from keras_lcb.vision.data import DIGITS, ImageData, load
from keras_lcb.vision.networks import builder

_WHOLE = ("depth", "width", "batch_size", "updates", "record_every")
# Settings that a builder gets under their own names, if it takes them.
_OF_NETWORKS = ("depth", "depths", "width", "residual", "normalization")

# How the learning rate goes on from `learning_rate` over so many updates.
SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda rate, updates: rate,
    "cosine": keras.optimizers.schedules.CosineDecay,
}


@dataclass(frozen=True)
class Config:
    """All settings of an experiment on images.

    Args:
        data: A set that `vision.load` knows by name, or the path of a folder, such as
            `"./flowers"`.
        depth: Convolutions of the network `"cnn"`; others take `depths`.
        width: Channels of each convolution, of the first stage, or numbers in a token.
        residual: Whether each block's input is added to its output, in the network `"cnn"`.
        normalization: Whether the network has normalization layers.
        batch_size: Images an update.
        optimizer: `"sgd"`, `"momentum"` (SGD with `momentum`), or another that Keras knows by
            name, with its own defaults.
        learning_rate: Of the optimizer; where it begins, if it does not stay the same.
        momentum: Of the optimizer `"momentum"`; others take none from here.
        updates: How many, a multiple of `record_every`.
        record_every: Updates between records.
        seed: Of the initial weights and of the order of the images.
        network: A file in `keras_lcb.vision.networks`: `"cnn"`, `"vgg"`, `"resnet"`, `"vit"`,
            `"mixer"`, ….
        depths: Blocks of each stage; the builder's own default if `None`.
        network_arguments: Further arguments of the builder, such as `{"bottleneck": True}`.
        data_arguments: Further arguments of `vision.load`, such as `{"image_size": (32, 32)}`.
        schedule: Of the learning rate: `"constant"`, or `"cosine"` for half a wave down to 0 at
            the last update.

    Raises:
        ValueError: If a setting is out of its range, or none that the network takes.

    Example:
        >>> config = Config(network="resnet", depths=(3, 3, 3), updates=40)
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
    network: str = "cnn"
    depths: tuple[int, ...] | None = None
    network_arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data_arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    schedule: str = "constant"

    def __post_init__(self) -> None:
        for name in (*_WHOLE, "seed"):
            least = 0 if name == "seed" else 1
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.depths is not None:
            check_depths(self.depths)
            object.__setattr__(self, "depths", tuple(int(depth) for depth in self.depths))
        for name in ("network_arguments", "data_arguments"):
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` is one of {', '.join(map(repr, SCHEDULES))}; received "
                f"{self.schedule!r}."
            )
        _check_arguments(self)
        check_training(self)

    def to_json(self) -> str:
        """Returns the settings as JSON text, in which equal settings are equal."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Returns the settings that `to_json` wrote, of this version or of an earlier one.

        Raises:
            ValueError: If they are none.
        """
        return cls(**read_settings(cls, text))


def _plain(name: str, arguments: Any) -> dict[str, Any]:
    """Returns arguments as JSON gives them back: so those that were saved equal those given."""
    try:
        return dict(json.loads(json.dumps(dict(arguments))))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` is a dictionary of what JSON can hold (numbers, text, lists); received "
            f"{arguments!r}."
        ) from error


def _check_arguments(config: Config) -> None:
    """Refuses settings that the network's builder or `load` does not take."""
    taken = set(inspect.signature(builder(config.network)).parameters)
    defaults = {each.name: each.default for each in dataclasses.fields(config)}
    given = [name for name in _OF_NETWORKS if getattr(config, name) != defaults[name]]
    for name in (*given, *config.network_arguments):
        if name not in taken:
            raise ValueError(
                f"The network {config.network!r} takes no `{name}`. It takes: "
                f"{', '.join(sorted(taken - {'input_shape', 'classes'}))}."
            )
    own = {"input_shape", "classes", "seed", *_OF_NETWORKS}
    for arguments, reserved in (
        (config.network_arguments, own),
        (config.data_arguments, {"name", "batch_size", "seed"}),
    ):
        for name in reserved.intersection(arguments):
            raise ValueError(f"`{name}` is no further argument: the experiment sets it itself.")


def run(config: Config, callbacks: Sequence[keras.callbacks.Callback] = ()) -> xr.Dataset:
    """Trains a network on images and records how its layers do.

    It trains through `model.fit` with `LayerConvergence` and `GradientNorms`; the global seeds
    stay as they are.

    Args:
        config: The settings.
        callbacks: Further callbacks; those with `results` become part of the run.

    Returns:
        The run. Its settings hold those of `config` under `"Config"`, for `Config.from_json`.

    Raises:
        ValueError: If the data set is unknown or out of reach, or its images are none for the
            network.

    Example:
        >>> result = run(Config(depth=2, width=4, updates=4, record_every=2))
        >>> result.step.values.tolist(), result.layer.values.tolist()
        ([0, 2, 4], ['conv_0', 'conv_1', 'head'])
    """
    data = load(
        config.data, batch_size=config.batch_size, seed=config.seed, **config.data_arguments
    )
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
    """Returns the network of an experiment on given data, compiled."""
    build = builder(config.network)
    taken = inspect.signature(build).parameters
    settings = {name: getattr(config, name) for name in _OF_NETWORKS if name in taken}
    if config.depths is None:
        settings.pop("depths", None)
    model = build(
        data.shape, data.classes, seed=config.seed, **settings, **config.network_arguments
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = new_optimizer(config)
    optimizer.learning_rate = SCHEDULES[config.schedule](config.learning_rate, config.updates)
    model.compile(optimizer, loss)
    return model
