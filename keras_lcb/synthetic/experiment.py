"""One experiment on a function of one variable: `run` takes the settings and returns a run."""

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
    check_storable,
    check_training,
    new_optimizer,
    read_settings,
    true_or_false,
    whole_number,
)
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.synthetic.frequency_response import FrequencyResponse
from keras_lcb.synthetic.networks import build_network, check_network
from keras_lcb.synthetic.sinusoids import default_target
from keras_lcb.synthetic.target import Target
from keras_lcb.synthetic.targets import target_from_dict

_WHOLE = ("depth", "width", "points", "batch_size", "updates", "record_every", "seed")


@dataclass(frozen=True)
class Config:
    """All settings of an experiment on a function of one variable.

    Experiments with equal settings give the same numbers on the same CPU.

    Args:
        target: The function to learn. Defaults to `default_target()`.
        depth: Number of hidden layers, 1 to 64. Defaults to 5.
        width: Units of each hidden layer. Defaults to 128.
        residual: Whether each layer adds its output to its input. Defaults to `True`.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        initializer: Initializer of the kernels, see `build_network`. Defaults to
            `"glorot_uniform"`.
        normalization: `"batch"`, `"layer"` or `None`. Defaults to `None`.
        branch_scale: See `build_network`. Defaults to `None`, which means 1/√depth.
        periodic: Whether the network receives the cosine and sine of wave number 1 instead of x.
            The network is then periodic. Compare with it to see the effect of the borders of the
            domain. Defaults to `False`.
        points: Number of points of the training grid. Defaults to 512.
        batch_size: Number of points in each update, at most `points`. Each point is used once
            before any point is used again. Defaults to 128.
        optimizer: `"sgd"`, `"momentum"` (SGD with `momentum`), or another optimizer that Keras
            knows by name, with its own defaults. Defaults to `"momentum"`.
        learning_rate: The constant learning rate. Defaults to 0.005.
        momentum: Momentum of the optimizer `"momentum"`; other optimizers ignore it. Defaults to
            0.9.
        updates: Number of updates, a multiple of `record_every`. Defaults to 8000.
        record_every: Number of updates between two records. Defaults to 100.
        seed: Seed of the initial weights and of the order of the points. The noise of the target
            has its own seed. Defaults to 0.

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
                f"`target` must be a target of keras_lcb.synthetic; received {self.target!r}. Use "
                "`Function(f)` to make a target of any function."
            )
        for name in _WHOLE:
            least = 0 if name == "seed" else 1
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("residual", "periodic"):
            object.__setattr__(self, name, true_or_false(name, getattr(self, name)))
        check_network(self.depth, self.width, self.normalization, None, self.branch_scale)
        keras.activations.get(self.activation)
        if self.initializer != "fan_in":
            keras.initializers.get(self.initializer)
        self.target.grid(self.points)
        if self.batch_size > self.points:
            raise ValueError(
                f"`batch_size` must be at most `points`; received batch_size={self.batch_size} "
                f"and points={self.points}."
            )
        for name, value in self._settings().items():
            check_storable(name, value)
        check_training(self)

    def to_json(self) -> str:
        """Returns the settings as JSON text. Equal settings give equal text."""
        return json.dumps(self._settings())

    def _settings(self) -> dict[str, Any]:
        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**settings, "target": self.target.to_dict()}

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Returns the settings that `to_json` wrote.

        Raises:
            ValueError: If the text does not hold settings of an experiment.
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
    """Trains a network on a target, and records how its layers learn.

    It calls `model.fit` with the callbacks `LayerConvergence`, `GradientNorms` and
    `FrequencyResponse`. An epoch has `record_every` updates. As far as the backend allows, no
    Python code runs between the updates of an epoch. Global seeds do not change.

    With the default settings (8000 updates of a network with 5 layers of 128 units), a run takes
    some seconds on a CPU.

    Args:
        config: The settings.
        functions: Whether to record the functions themselves, too; see `FrequencyResponse`.
            Defaults to `False`.
        on_record: A function to call after each record, with the run so far, which is marked as
            provisional. Defaults to `None`.

    Returns:
        The run, an `xarray.Dataset`. Its settings hold those of `config` under `"Config"`, as text
        for `Config.from_json`.

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
        report = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_record(recorded()))
        callbacks.append(report)
    train(compiled_model(config), config, callbacks)
    return recorded()


def compiled_model(config: Config) -> keras.Model:
    """Returns the network of an experiment, compiled in the way that is fastest on this backend."""
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
    # On TensorFlow, XLA would take longer to compile than it saves in some thousand updates.
    together = config.record_every if backend == "jax" else 1
    jit = backend == "jax"
    optimizer = new_optimizer(config)
    # Otherwise the first step creates its variables, and TensorFlow traces this step twice.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "mse", steps_per_execution=together, jit_compile=jit)
    return model


def train(
    model: keras.Model,
    config: Config,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    records: int = 0,
) -> None:
    """Trains the network of an experiment, in epochs of `record_every` updates.

    Args:
        model: The network, from `compiled_model`.
        config: The settings of the experiment.
        callbacks: The callbacks of `fit`.
        records: Number of epochs for which the network has been trained already. Training
            continues after them. Defaults to 0.
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
    """Returns the indices of the points in each update, an array (updates, batch_size)."""
    generator = np.random.default_rng(config.seed)
    seen = config.updates * config.batch_size
    passes = np.tile(np.arange(config.points, dtype=np.int32), (-(-seen // config.points), 1))
    order = generator.permuted(passes, axis=1).ravel()[:seen]
    return order.reshape(config.updates, config.batch_size)
