"""One experiment on images: `run` takes the settings and returns a run."""

from __future__ import annotations

import dataclasses
import inspect
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
import xarray as xr

from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.config import (
    check_storable,
    check_training,
    new_optimizer,
    read_settings,
    true_or_false,
    whole_number,
)
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.vision.building import check_depths
from keras_lcb.vision.data import DIGITS, ImageData, load
from keras_lcb.vision.networks import builder
from keras_lcb.vision.probes import check_probes, make_probes

_WHOLE = ("depth", "width", "batch_size", "updates", "record_every", "probe_images")
# Settings that are passed to the builder of the network, if it has a parameter of this name.
_OF_NETWORKS = ("depth", "depths", "width", "residual", "normalization")

# Functions that make a learning rate schedule from the first learning rate and the updates.
SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda rate, updates: rate,
    "cosine": keras.optimizers.schedules.CosineDecay,
}


@dataclass(frozen=True)
class Config:
    """All settings of an experiment on images.

    Args:
        data: A set that `vision.load` knows by name, or the path of a folder, for example
            `"./flowers"`. Defaults to `"digits"`.
        depth: Number of convolutions of the network `"cnn"`; other networks use `depths`. Defaults
            to 6.
        width: Number of channels of each convolution in `"cnn"`, of channels of the first stage in
            `"vgg"` and `"resnet"`, or of numbers in a token. Defaults to 16.
        residual: Whether each block of the network `"cnn"` adds its input to its output. Defaults
            to `False`.
        normalization: Whether the network has normalization layers. Defaults to `False`.
        batch_size: Number of images in each update. Defaults to 64.
        optimizer: `"sgd"`, `"momentum"` (SGD with `momentum`), or another optimizer that Keras
            knows by name, with its own defaults. Defaults to `"sgd"`.
        learning_rate: The learning rate at the start of training. Defaults to 0.1.
        momentum: Momentum of the optimizer `"momentum"`; other optimizers ignore it. Defaults to
            0.9.
        updates: Number of updates, a multiple of `record_every`. Defaults to 800.
        record_every: Number of updates between two records. Defaults to 20.
        seed: Seed of the initial weights and of the order of the images. Defaults to 0.
        network: Name of the network, which is the name of a file in `keras_lcb.vision.networks`:
            `"cnn"`, `"vgg"`, `"resnet"`, `"vit"`, `"mixer"`, …. Defaults to `"cnn"`.
        depths: Number of blocks of each stage. Defaults to `None`: the default of the builder.
        network_arguments: Other arguments of the builder, for example `{"bottleneck": True}`.
            Defaults to none.
        data_arguments: Other arguments of `vision.load`, for example `{"image_size": (32, 32)}`.
            Defaults to none.
        schedule: How the learning rate changes: `"constant"`, or `"cosine"` for half a cosine wave
            that reaches 0 at the last update. Defaults to `"constant"`.
        layers: What the rows of the run are, for all callbacks: each layer (`None`), `"blocks"`,
            or a list of names of layers, blocks or stages. Defaults to `None`.
        probes: Names of further callbacks of `keras_lcb` that look at given images, each with its
            other arguments: `{"RepresentationSimilarity": {}, "ResponseFrequency": {"cutoffs":
            [0.3, 0.5]}}`. Defaults to none.
        probe_images: Number of images that these callbacks receive: the first ones of those for
            validation. Defaults to 256.

    Raises:
        ValueError: If a setting is out of its range, or the network does not take it.

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
    layers: str | tuple[str, ...] | None = None
    probes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    probe_images: int = 256

    def __post_init__(self) -> None:
        for name in (*_WHOLE, "seed"):
            least = 0 if name == "seed" else 1
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("residual", "normalization"):
            object.__setattr__(self, name, true_or_false(name, getattr(self, name)))
        if self.depths is not None:
            check_depths(self.depths)
            object.__setattr__(self, "depths", tuple(int(depth) for depth in self.depths))
        for name in ("network_arguments", "data_arguments", "probes"):
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        if self.layers is not None and self.layers != "blocks":
            object.__setattr__(self, "layers", _names(self.layers))
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {', '.join(map(repr, SCHEDULES))}; received "
                f"{self.schedule!r}."
            )
        for name, value in dataclasses.asdict(self).items():
            check_storable(name, value)
        _check_arguments(self)
        check_probes(self.probes)
        check_training(self)

    def to_json(self) -> str:
        """Returns the settings as JSON text. Equal settings give equal text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Returns the settings that `to_json` wrote, in this version or an earlier one.

        Raises:
            ValueError: If the text does not hold settings of an experiment.
        """
        return cls(**read_settings(cls, text))


def _names(layers: Any) -> tuple[str, ...]:
    several = isinstance(layers, (list, tuple)) and bool(layers)
    if not several or not all(isinstance(name, str) for name in layers):
        raise ValueError(
            '`layers` is None for each layer, "blocks", or a list of names, such as ["stage1", '
            f'"head"]; received {layers!r}.'
        )
    return tuple(layers)


def _plain(name: str, arguments: Any) -> dict[str, Any]:
    """Returns arguments in the form in which JSON restores them, for example lists, not tuples.

    So settings that were saved and read again are equal to the original settings.
    """
    try:
        return dict(json.loads(json.dumps(dict(arguments))))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be a dictionary of values that JSON can hold (numbers, text, lists); "
            f"received {arguments!r}."
        ) from error


def _check_arguments(config: Config) -> None:
    """Checks that the network's builder and `load` take the settings."""
    taken = set(inspect.signature(builder(config.network)).parameters)
    defaults = {each.name: each.default for each in dataclasses.fields(config)}
    given = [name for name in _OF_NETWORKS if getattr(config, name) != defaults[name]]
    for name in (*given, *config.network_arguments):
        if name not in taken:
            raise ValueError(
                f"Received `{name}`, but the network {config.network!r} takes no `{name}`. It "
                f"takes: {', '.join(sorted(taken - {'input_shape', 'classes'}))}."
            )
    own = {"input_shape", "classes", "seed", *_OF_NETWORKS}
    for arguments, reserved in (
        (config.network_arguments, own),
        (config.data_arguments, {"name", "batch_size", "seed"}),
    ):
        for name in reserved.intersection(arguments):
            raise ValueError(
                f"Received `{name}` among the arguments, but the experiment sets it from its other "
                "settings. Leave it out."
            )


def run(config: Config, callbacks: Sequence[keras.callbacks.Callback] = ()) -> xr.Dataset:
    """Trains a network on images, and records how its layers learn.

    It calls `model.fit` with `LayerConvergence`, `GradientNorms` and the callbacks that
    `config.probes` names. Global seeds do not change. The cost is that of the training, and of the
    probes.

    Args:
        config: The settings.
        callbacks: Other callbacks. The `results` of those that have them become part of the run,
            unless they do not fit to its other parts; then there is a warning.

    Returns:
        The run, an `xarray.Dataset`. Its settings hold those of `config` under `"Config"`, as text
        for `Config.from_json`.

    Raises:
        ValueError: If the data set is unknown or cannot be loaded, or the network does not take
            images of this size.

    Example:
        >>> result = run(Config(depth=2, width=4, updates=4, record_every=2))
        >>> result.step.values.tolist(), result.layer.values.tolist()
        ([0, 2, 4], ['conv_0', 'conv_1', 'head'])
    """
    data = load(
        config.data, batch_size=config.batch_size, seed=config.seed, **config.data_arguments
    )
    recording = [
        LayerConvergence(layers=config.layers),
        GradientNorms(layers=config.layers),
        *make_probes(config.probes, data, config.probe_images, config.layers),
    ]
    compiled_model(config, data).fit(
        data.train.repeat().prefetch(tf.data.AUTOTUNE),
        epochs=config.updates // config.record_every,
        steps_per_epoch=config.record_every,
        shuffle=False,
        verbose=0,
        callbacks=[*recording, *callbacks],
    )
    recorded = _collected(recording, [each for each in callbacks if hasattr(each, "results")])
    return schema.of_experiment(recorded, "keras_lcb.vision", config)


def _collected(recording: Sequence[Any], others: Sequence[Any]) -> xr.Dataset:
    """Returns the run of all callbacks, or without the others if theirs does not fit to it."""
    try:
        return collect(*recording, *others)
    except ValueError as error:
        warnings.warn(
            f"The run has no part of your `callbacks`, since it does not fit to the other parts: "
            f"{error} It is in the `results` of your callbacks.",
            stacklevel=3,
        )
        return collect(*recording)


def compiled_model(config: Config, data: ImageData) -> keras.Model:
    """Returns the compiled network of an experiment, for images like those of `data`."""
    build = builder(config.network)
    taken = inspect.signature(build).parameters
    settings = {name: getattr(config, name) for name in _OF_NETWORKS if name in taken}
    if config.depths is None:
        settings.pop("depths", None)
    model = build(
        data.shape, data.classes, seed=config.seed, **settings, **config.network_arguments
    )
    data.check(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = new_optimizer(config)
    optimizer.learning_rate = SCHEDULES[config.schedule](config.learning_rate, config.updates)
    # Otherwise the first step creates its variables, and TensorFlow traces this step twice.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, loss)
    return model
