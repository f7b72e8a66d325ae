"""A run as the rules look at it: plain arrays over records and layers."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr

_NO_WEIGHTS = ("normalization", "embedding")


class Observed:
    """What a run holds of one training.

    Records are those after the start of training, oldest first; layers stand in depth order.

    Args:
        run: A run, not stacked along `seed`.
        model: The trained model, where there is one to look at.
        data: `(x, y)` or what else `landscape.Objective` takes as `x`, where there is any.

    Attributes:
        attrs: The attributes of the run.
        steps: The update of each record.
        layers: Names of the layers.
        roles: Their roles.
        parameters: How many parameters each has.
        kernels: Which of them transform something: those with kernels that are neither
            normalisation nor embedding.
        hidden: Which of those do not feed an output.
        over: Whether training had ended when the run was taken.
        model: The model, or `None`.
        data: The data, or `None`.
    """

    def __init__(self, run: xr.Dataset, model: Any = None, data: Any = None) -> None:
        run = run.sortby("depth") if "depth" in run.coords else run
        self.attrs = dict(run.attrs)
        self.model, self.data = model, data
        self._start = run.isel(step=[0]) if run.sizes.get("step") else run
        self._run = run.isel(step=run["step"] > run["step"].min()) if "step" in run.dims else run
        self.steps = self._run["step"].values if "step" in run.dims else np.zeros(0, int)
        self.layers = tuple(map(str, run["layer"].values))
        self.roles = self._along_layers("role", "hidden")
        self.parameters = np.maximum(1, self._along_layers("parameters", 1).astype(int))
        shapes = self._along_layers("shape", "(?)")
        self.kernels = (shapes != "") & ~np.isin(self.roles, _NO_WEIGHTS)
        self.hidden = self.kernels & (self.roles != "head")
        self.over = not run.attrs.get("provisional", 0)

    def _along_layers(self, name: str, otherwise: Any) -> np.ndarray:
        if name in self._run.coords:
            return self._run[name].values
        return np.full(len(self.layers), otherwise)

    def has(self, name: str) -> bool:
        """Whether the run holds a quantity, numbers or not."""
        return name in self._run

    def __contains__(self, name: str) -> bool:
        return self.has(name) and bool(np.isfinite(self._run[name].values).any())

    # Numbers.

    def of(self, name: str) -> np.ndarray:
        """Returns a quantity (records, layers); all NaN where the run does not hold it."""
        shape = len(self.steps), len(self.layers)
        if name not in self._run:
            return np.full(shape, np.nan)
        return self._run[name].transpose("step", "layer").values.astype(float)

    def along(self, name: str) -> np.ndarray:
        """Returns a quantity (records), averaged over layers where it differs between them."""
        if name not in self._run:
            return np.full(len(self.steps), np.nan)
        return mean(self._run[name].values.reshape(len(self.steps), -1), axis=1)

    @functools.cached_property
    def loss(self) -> np.ndarray:
        """The mean training loss since the record before, at each record."""
        return self.along("loss")

    @functools.cached_property
    def weights_before(self) -> np.ndarray:
        """The norm of the parameters before the updates of each record (records, layers)."""
        if "parameter_norm" not in self._run:
            return self.of("parameter_norm")
        at_start = self._start["parameter_norm"].transpose("step", "layer").values
        norms = _filled(np.concatenate([at_start, self.of("parameter_norm")]).astype(float))
        return norms[:-1]

    @functools.cached_property
    def ratio(self) -> np.ndarray:
        """The RMS update relative to the parameters before the updates (records, layers)."""
        norms = self.weights_before
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(norms > 0, self.of("update_norm") / norms, np.nan)

    @functools.cached_property
    def gradient_per_entry(self) -> np.ndarray:
        """The RMS of a single entry of the gradient (records, layers)."""
        return self.of("gradient_norm") / np.sqrt(self.parameters)

    def part(self, start: float, stop: float) -> slice:
        """Returns the records of a part of training, by fractions of all records; never none."""
        count = len(self.steps)
        first = min(int(start * count), count - 1)
        return slice(first, max(first + 1, int(np.ceil(stop * count))))

    def largest(self, name: str) -> float:
        """Returns the largest value of a quantity of any dimensions; NaN where there is none."""
        values = self._run[name].values if name in self._run else np.full(1, np.nan)
        return float(np.nanmax(values)) if np.isfinite(values).any() else np.nan

    @functools.cached_property
    def rate(self) -> float:
        """The largest learning rate; NaN where the run holds none."""
        return self.largest("learning_rate")

    @property
    def updates(self) -> tuple[int, int]:
        """The first and the last update of the records."""
        return int(self.steps[0]), int(self.steps[-1])

    # Reasons and settings.

    @functools.cached_property
    def missing(self) -> dict[str, str]:
        """Why values are missing: `{"variable/layer": reason}`."""
        return schema.missing(self._run)

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """What the run was made with, by callback."""
        return schema.settings(self._run)

    @property
    def optimizer(self) -> str:
        """The class name of the optimizer, in small letters."""
        return str(self.attrs.get("optimizer", "")).lower()

    def named(self, chosen: np.ndarray) -> tuple[str, ...]:
        """Returns the names of the chosen layers."""
        return tuple(name for name, each in zip(self.layers, chosen, strict=True) if each)


def median(values: np.ndarray, axis: int | None = None) -> Any:
    """Returns the median of what is a number; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(values, axis=axis)


def mean(values: np.ndarray, axis: int | None = None) -> Any:
    """Returns the mean of what is a number; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def _filled(values: np.ndarray) -> np.ndarray:
    """Fills gaps along records with the value before, and else with the first one after."""
    values = values.copy()
    for column in values.T:
        known = np.flatnonzero(np.isfinite(column))
        if known.size:
            place = np.searchsorted(known, np.arange(len(column)), side="right") - 1
            column[:] = column[known[np.maximum(place, 0)]]
    return values
