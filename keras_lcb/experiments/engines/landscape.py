"""A training whose landscape is measured layer by layer, early, in the middle and late."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb import landscape, synthetic, vision
from keras_lcb.analysis import eigenvalue_per_parameter
from keras_lcb.callbacks import GradientNorms, LayerConvergence
from keras_lcb.callbacks.recorder import Record
from keras_lcb.landscape.callbacks.loss_recorder import LossRecorder
from keras_lcb.landscape.filters import has_filters
from keras_lcb.landscape.objective import Objective
from keras_lcb.runs import schema
from keras_lcb.runs.merging import collect
from keras_lcb.synthetic.experiment import compiled_model, train

MOMENTS = {"early": 0.05, "middle": 0.4, "late": 1.0}  # fractions of the updates
SAMPLES = 128  # of the training data, on which the landscape is measured
STEP_SIZE = 0.01  # at which changes of the gradient are compared
STEPS = 30  # of gradient descent, with which a learning rate is tried
TOLERANCE = 0.1  # relative width of the interval in which the largest stable rate is found
HALF = 0.5  # how far slices go, in filter norms
_MEASURED = "measured"
_AS_COMPILED: dict[str, Any] = {
    "sample_weight": None,
    "steps": None,
    "loss": None,
    "training": False,
    "batch_size": 512,
}


def images(config: vision.Config) -> xr.Dataset:
    """Trains as `vision.run` does, and measures the landscape on training images.

    Returns:
        The run, with what `measure` returns along `step`: NaN but at the moments of `MOMENTS`.

    Raises:
        ValueError: If the training diverges before anything is measured.
    """
    data = vision.load(config.data, batch_size=SAMPLES, seed=0, **config.data_arguments)
    x, y = next(iter(data.train))
    probe = _Probe(x.numpy(), y.numpy(), config)
    return schema.of_experiment(vision.run(config, callbacks=[probe]), __name__, config)


def functions(config: synthetic.Config) -> xr.Dataset:
    """Trains as `synthetic.run` does, and measures the landscape on points of the training grid.

    Returns:
        As `images` does.

    Raises:
        ValueError: If the training diverges before anything is measured.
    """
    grid = config.target.grid(config.points)[:: max(1, config.points // SAMPLES)]
    probe = _Probe(grid, config.target(grid), config)
    recorders = [LayerConvergence(), GradientNorms()]
    train(compiled_model(config), config, [*recorders, probe])
    return schema.of_experiment(collect(*recorders, probe), __name__, config)


class _Probe(LossRecorder):
    """Measures the landscape at the ends of the epochs in which the moments lie."""

    def __init__(self, x: np.ndarray, y: np.ndarray, config: Any) -> None:
        self.seed = config.seed
        epochs = config.updates // config.record_every
        self._moments = {max(1, round(part * epochs)) for part in MOMENTS.values()}
        super().__init__(x, y, "epoch", None, **_AS_COMPILED)

    def measure(self) -> Record:
        """Measures the landscape; nothing between the moments, nor of what has diverged."""
        if len(self._records) not in self._moments or not math.isfinite(self._objective.loss()):
            return {}
        return {_MEASURED: measure(self._objective, self.seed)}

    @property
    def _found(self) -> xr.Dataset:
        """What was measured, along the `step`s at which it was."""
        found = {r["step"]: r[_MEASURED] for r in self._records if _MEASURED in r}
        if not found:
            raise ValueError("The training diverged before its landscape was measured.")
        return xr.concat(found.values(), xr.IndexVariable("step", list(found)))

    def coordinates(self) -> dict[str, Any]:
        """Returns the coordinates of the dimensions other than `step` and `layer`."""
        return {name: self._found[name].values for name in ("rank", "step_size")}

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        whole = self._found.reindex(step=[record["step"] for record in self._records])
        return {str(name): (values.dims, values.values) for name, values in whole.items()}


def measure(
    objective: Objective, seed: int, *, steps: int = STEPS, tolerance: float = TOLERANCE
) -> xr.Dataset:
    """Measures the landscape of each layer at the weights as they are.

    Args:
        objective: The loss.
        seed: Of what is drawn at random.
        steps: Of gradient descent, with which a learning rate is tried.
        tolerance: Relative width of the interval in which the largest stable rate is found.

    Returns:
        `relative_gradient_change`, `smoothness` and others of `gradient_predictiveness`;
        `eigenvalue`, `eigenvalue_per_parameter`, `filter_curvature`, `trace`, `slice_rise`,
        `stable_learning_rate` and, beside, `theory`, `residual` and standard errors.
    """
    names = [row.name for row in objective.layers]
    curved = landscape.curvature(objective, layers=names, tolerance=0.01, seed=seed)
    rates = landscape.largest_stable_learning_rate(
        objective, steps=steps, tolerance=tolerance, seed=seed
    )
    rises = [_slice_rise(objective, name, seed) for name in names]
    along = landscape.filter_curvature(objective, layers=names, seed=seed)
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
    """Returns a quantity at a moment of training, one value a layer (and seed).

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
