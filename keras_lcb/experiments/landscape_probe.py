"""One training, with its landscape measured layer by layer at a few moments."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb import landscape, vision
from keras_lcb.analysis import eigenvalue_per_parameter
from keras_lcb.experiments.networks import FUNCTION, base
from keras_lcb.landscape.filters import has_filters
from keras_lcb.landscape.objective import Objective
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.synthetic import experiment as synthetic_experiment

# What is measured, and whether the claim has it rise or fall with depth.
QUANTITIES = {
    "relative_gradient_change": +1,
    "gradient_change": +1,
    "smoothness": +1,
    "eigenvalue": +1,
    "eigenvalue_per_parameter": +1,
    "filter_curvature": +1,
    "trace": +1,
    "slice_rise": +1,
    "stable_learning_rate": -1,
}
MOMENTS = {"early": 0.05, "middle": 0.4, "late": 1.0}  # fractions of the updates
STEP_SIZE = 0.01  # at which changes of the gradient are compared
HALF = 0.5  # how far slices go, in filter norms


@dataclass(frozen=True)
class Config:
    """Settings of a training whose landscape is measured.

    Args:
        network: One of `keras_lcb.experiments.networks.NETWORKS`.
        optimizer: See `synthetic.Config` and `vision.Config`.
        learning_rate: Of the optimiser, constant.
        residual: Whether the network is residual.
        samples: How many samples the landscape is measured on.
        steps: Steps of gradient descent with which a learning rate is tried.
        tolerance: Relative width of the interval in which the largest stable rate is found.
        quick: Whether networks are tiny, to try things out.
        seed: Of the training and of what is drawn at random.

    Example:
        >>> Config("digits", "sgd", 0.1, residual=True).samples
        128
    """

    network: str = FUNCTION
    optimizer: str = "sgd"
    learning_rate: float = 0.02
    residual: bool = False
    samples: int = 128
    steps: int = 30
    tolerance: float = 0.1
    quick: bool = False
    seed: int = 0

    def to_json(self) -> str:
        """Return the settings as JSON text, in which equal settings are equal."""
        return json.dumps(dataclasses.asdict(self))

    def training(self) -> Any:
        """Return the settings of the training alone."""
        names = ("optimizer", "learning_rate", "residual", "seed")
        own = {name: getattr(self, name) for name in names}
        return dataclasses.replace(base(self.network, self.quick), **own)


def run(config: Config) -> xr.Dataset:
    """Train, and measure each layer's landscape early, in the middle and late.

    Args:
        config: The settings.

    Returns:
        The run, with what `measure` returns along `step`: NaN but at the moments of `MOMENTS`.

    Raises:
        ValueError: If the training diverges before anything is measured.
    """
    training = config.training()
    x, y = _probe_data(config, training)
    probe = _Probe(x, y, config, training)
    if config.network == FUNCTION:
        recorded = _train_on_function(training, probe)
    else:
        recorded = vision.run(training, callbacks=[probe])
    return schema.of_experiment(recorded, "keras_lcb.experiments.landscape_probe", config)


def _train_on_function(training: Any, probe: keras.callbacks.Callback) -> xr.Dataset:
    from keras_lcb.callbacks import GradientNorms, LayerConvergence

    recorders = [LayerConvergence(), GradientNorms()]
    model = synthetic_experiment.compiled_model(training)
    synthetic_experiment.train(model, training, [*recorders, probe])
    return collect(*recorders, probe)


def _probe_data(config: Config, training: Any) -> tuple[np.ndarray, np.ndarray]:
    if config.network == FUNCTION:
        grid = training.target.grid(config.samples)
        return grid, training.target(grid)
    data = vision.load(training.data, batch_size=config.samples, seed=0)
    images, labels = next(iter(data.validation))
    return images.numpy(), labels.numpy()


class _Probe(keras.callbacks.Callback):
    """Measures the landscape at the ends of the epochs in which the moments lie."""

    def __init__(self, x: np.ndarray, y: np.ndarray, config: Config, training: Any) -> None:
        super().__init__()
        self.x, self.y, self.config = x, y, config
        self.every = training.record_every
        epochs = training.updates // training.record_every
        self.moments = {max(1, round(part * epochs)) for part in MOMENTS.values()}
        self.taken: dict[int, xr.Dataset] = {}
        self.objective: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch + 1 not in self.moments:
            return
        if self.objective is None:
            self.objective = Objective(self.model, self.x, self.y)
        if math.isfinite(self.objective.loss()):  # what has diverged has no landscape
            self.taken[(epoch + 1) * self.every] = measure(self.objective, self.config)

    @property
    def results(self) -> xr.Dataset:
        """What was measured, along `step`."""
        if not self.taken:
            raise ValueError("The training diverged before its landscape was measured.")
        first = next(iter(self.taken.values()))
        variables = {
            str(name): (
                ("step", *map(str, values.dims)),
                np.stack([own[name].values for own in self.taken.values()]),
            )
            for name, values in first.data_vars.items()
        }
        coords = {str(name): values.values for name, values in first.coords.items()}
        return schema.dataset(variables, {**coords, "step": list(self.taken)})


def measure(objective: Objective, config: Config) -> xr.Dataset:
    """Measure the landscape of each layer at the weights as they are.

    Args:
        objective: The loss.
        config: How well.

    Returns:
        What `QUANTITIES` names, and beside it `theory`, `residual`, `trace_standard_error` and
        `gradient_cosine`.
    """
    names = [row.name for row in objective.layers]
    curved = landscape.curvature(objective, layers=names, tolerance=0.01, seed=config.seed)
    rates = landscape.largest_stable_learning_rate(
        objective, steps=config.steps, tolerance=config.tolerance, seed=config.seed
    )
    rises = [_slice_rise(objective, name, config.seed) for name in names]
    along = landscape.filter_curvature(objective, layers=names, seed=config.seed)
    steep = ["eigenvalue", "residual", "trace", "trace_standard_error"]
    return landscape.gradient_predictiveness(objective).assign(
        {
            **{name: curved[name] for name in steep},
            **along.data_vars,
            "eigenvalue_per_parameter": eigenvalue_per_parameter(curved),
            "stable_learning_rate": rates["learning_rate"],
            "theory": rates["theory"],
            "slice_rise": ("layer", rises),
        }
    )


def _slice_rise(objective: Objective, layer: str, seed: int) -> float:
    """How much the loss rises `HALF` a filter norm away, mean over random directions and signs.

    NaN for a layer without filters to compare.
    """
    row = objective.row(layer)
    if not has_filters(row, [keras.ops.convert_to_numpy(w) for w in objective.weights(row)]):
        return math.nan
    loss = landscape.loss_slice(objective, layer=layer, span=HALF, points=3, seed=seed)["loss"]
    return float(loss.sel(alpha=[-HALF, HALF]).mean() - loss.sel(alpha=0.0).mean())


def at_moment(run: xr.Dataset, name: str, moment: str) -> xr.DataArray:
    """Return a quantity at a moment of training, one value a layer (and seed).

    Changes of the gradient are those at `STEP_SIZE`, eigenvalues the largest.
    """
    measured = run["smoothness"].notnull().any([d for d in run["smoothness"].dims if d != "step"])
    steps = run["step"].values[measured.values]
    wanted = MOMENTS[moment] * run["step"].values[-1]
    values = run[name].sel(step=steps[np.argmin(abs(steps - wanted))])
    if "rank" in values.dims:
        values = values.sel(rank=1)
    if "step_size" in values.dims:
        values = values.sel(step_size=STEP_SIZE)
    return values
