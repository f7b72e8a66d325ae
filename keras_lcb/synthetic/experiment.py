"""One experiment on a function of one variable: settings in, a run out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
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
from keras_lcb.synthetic.frequency_response import FrequencyResponse
from keras_lcb.synthetic.networks import build_network, check_network
from keras_lcb.synthetic.target import Target
from keras_lcb.synthetic.targets import default_target, target_from_dict

_WHOLE = ("depth", "width", "points", "batch_size", "updates", "record_every", "seed")


@dataclass(frozen=True)
class Config:
    """All settings of an experiment; two that are equal give the same numbers on one CPU.

    Args:
        target: What is learned.
        depth: Hidden layers, 1 to 64.
        width: Units a layer.
        residual: Whether layers add to the layers before them.
        activation: Of the hidden layers.
        initializer: Of the kernels; see `build_network`.
        normalization: `"batch"`, `"layer"` or `None`.
        branch_scale: See `build_network`; `None` is 1/√depth.
        periodic: Whether the input enters as the cosine and sine of wave number 1, which makes
            the network periodic: the control for what the borders of the domain do.
        points: Of the training grid.
        batch_size: Points an update, at most all; every point is seen once before any is seen
            again.
        optimizer: `"sgd"`, `"momentum"` (SGD with `momentum`), or another that Keras knows by
            name, with its own defaults.
        learning_rate: Of the optimizer, constant.
        momentum: Of the optimizer `"momentum"`; others take none from here.
        updates: How many, a multiple of `record_every`.
        record_every: Updates between records.
        seed: Of the initial weights and of the order of the points. The target has its own.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> config = Config(depth=3, updates=200)
        >>> Config.from_json(config.to_json()) == config
        True
    """

    target: Target = dataclasses.field(default_factory=default_target)
    depth: int = 5
    width: int = 128
    residual: bool = True
    activation: str = "relu"
    initializer: str = "glorot_uniform"
    normalization: Literal["batch", "layer"] | None = None
    branch_scale: float | None = None
    periodic: bool = False
    points: int = 512
    batch_size: int = 128
    optimizer: str = "momentum"
    learning_rate: float = 0.005
    momentum: float = 0.9
    updates: int = 8000
    record_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.target, Target):
            raise ValueError(
                f"`target` must be one of keras_lcb.synthetic's targets, got {self.target!r}; "
                "`Function(f)` makes one of any function."
            )
        for name in _WHOLE:
            least = 0 if name == "seed" else 1
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        check_network(self.depth, self.width, self.normalization, None, self.branch_scale)
        keras.activations.get(self.activation)
        if self.initializer != "fan_in":
            keras.initializers.get(self.initializer)
        self.target.grid(self.points)
        if self.batch_size > self.points:
            raise ValueError(
                f"`batch_size` is {self.batch_size}, more than the {self.points} points."
            )
        check_training(self)

    def to_json(self) -> str:
        """Return the settings as JSON text, in which equal settings are equal."""
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({**settings, "target": self.target.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the settings that `to_json` wrote.

        Raises:
            ValueError: If they are none.
        """
        settings = read_settings(cls, text)
        if "target" in settings:
            settings["target"] = target_from_dict(settings["target"])
        return cls(**settings)


def run(
    config: Config,
    *,
    functions: bool = False,
    on_record: Callable[[xr.Dataset], None] | None = None,
) -> xr.Dataset:
    """Train a network on a target and record how its layers do.

    It trains through `model.fit` with `LayerConvergence`, `GradientNorms` and
    `FrequencyResponse`, in long epochs of `record_every` updates with nothing on the host between
    them, as far as the backend can. The global seeds stay as they are.

    Args:
        config: The settings.
        functions: Whether to keep the functions themselves, too: see `FrequencyResponse`.
        on_record: Called with the run so far, marked as provisional, after each record.

    Returns:
        The run. Its settings hold those of `config` under `"Config"`, for `Config.from_json`.

    Raises:
        ValueError: If the target has no frequency that the grid resolves.

    Example:
        >>> result = run(Config(depth=2, width=8, updates=20, record_every=10))
        >>> result.step.values.tolist(), result.frequency.values.tolist()
        ([0, 10, 20], [1, 3, 10, 30])
    """
    grid = config.target.grid(config.points)
    recorders = [
        LayerConvergence(),
        GradientNorms(),
        FrequencyResponse(grid, target=config.target, functions=functions),
    ]

    def recorded() -> xr.Dataset:
        return schema.of_experiment(collect(*recorders), "keras_lcb.synthetic", config)

    callbacks: list[keras.callbacks.Callback] = list(recorders)
    if on_record is not None:
        told = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_record(recorded()))
        callbacks.append(told)
    train(compiled_model(config), config, callbacks)
    return recorded()


def compiled_model(config: Config) -> keras.Model:
    """Return the network of an experiment, compiled as it is fastest on this backend."""
    model = build_network(
        config.depth,
        config.width,
        config.residual,
        config.activation,
        initializer=config.initializer,
        normalization=config.normalization,
        period=config.target.length if config.periodic else None,
        branch_scale=config.branch_scale,
        seed=config.seed,
    )
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from keras_lcb.synthetic.tensorflow_step import LongStep

        model = LongStep(model)
    # On TensorFlow, what XLA would save in some thousand updates is less than it takes to compile.
    together = config.record_every if backend == "jax" else 1
    jit = backend == "jax"
    model.compile(new_optimizer(config), "mse", steps_per_execution=together, jit_compile=jit)
    return model


def train(
    model: keras.Model,
    config: Config,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    records: int = 0,
) -> None:
    """Train the network of an experiment, in epochs of one record each.

    Args:
        model: What `compiled_model` returned.
        config: The experiment.
        callbacks: Those of `fit`.
        records: The epochs that it was trained for before, from which it goes on.
    """
    grid = config.target.grid(config.points)
    x, y = grid.astype(np.float32), config.target(grid).astype(np.float32)
    order = batch_order(config).reshape(-1, config.record_every, config.batch_size)[records:]
    data: Any
    if keras.backend.backend() == "tensorflow":
        from keras_lcb.synthetic.tensorflow_step import blocks

        data, steps = blocks(x, y, order), 1
    else:
        data, steps = _batches(x, y, order.reshape(-1, config.batch_size)), config.record_every
    model.fit(
        data,
        initial_epoch=records,
        epochs=config.updates // config.record_every,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )


def _batches(
    x: np.ndarray, y: np.ndarray, order: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for chosen in order:
        yield x[chosen], y[chosen]


def batch_order(config: Config) -> np.ndarray:
    """Which points each update sees: (updates, batch_size)."""
    generator = np.random.default_rng(config.seed)
    seen = config.updates * config.batch_size
    passes = np.tile(np.arange(config.points, dtype=np.int32), (-(-seen // config.points), 1))
    order = generator.permuted(passes, axis=1).ravel()[:seen]
    return order.reshape(config.updates, config.batch_size)
