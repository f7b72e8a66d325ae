"""The view of a run that rules use: plain arrays over records and layers."""

from __future__ import annotations

import difflib
import functools
import operator
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema
from keras_lcb.runs.names import VARIABLES

if TYPE_CHECKING:
    import xarray as xr

_NO_WEIGHTS = ("normalization", "embedding")


class Observed:
    """The run of one training, as plain arrays.

    The records before the first update are left out, and those that only other callbacks took. The
    other records are in the order of training, the layers in depth order.

    Args:
        run: A run of one seed.
        model: The trained model, or `None`.
        data: `(x, y)`, a data set as `landscape.Objective` takes it, or `None`.

    Attributes:
        attrs: The attributes of the run.
        start: The number of updates at the first record of the run, which is left out.
        steps: The number of updates at each other record.
        layers: The names of the layers.
        roles: The roles of the layers.
        parameters: The number of parameters of each layer.
        kernels: Whether each layer multiplies its input by a kernel. Normalization and embedding
            layers do not.
        hidden: Whether each layer has a kernel and is not an output layer.
        over: Whether training had ended when the run was read.
        model: The model, or `None`.
        data: The data, or `None`.
    """

    def __init__(self, run: xr.Dataset, model: Any = None, data: Any = None) -> None:
        run = run.sortby("depth") if "depth" in run.coords else run
        self.attrs = dict(run.attrs)
        self.model, self.data = model, data
        self._start = run.isel(step=[0]) if run.sizes.get("step") else run
        self._run = _own_records(run) if "step" in run.dims else run
        self.start = int(self._start["step"].values[0]) if run.sizes.get("step") else 0
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
        """Returns whether the run holds a variable, even if all its values are NaN."""
        return name in self._run

    def __contains__(self, name: str) -> bool:
        return self.has(name) and bool(np.isfinite(self._run[name].values).any())

    # Numbers. If the run does not hold a variable, all are NaN; its name must then be a known one.

    def _holds(self, name: str) -> bool:
        """Returns whether the run holds a variable.

        Raises:
            ValueError: If it does not, and no variable that the package records has this name.
        """
        if not self.has(name):
            _check_known(name)
        return self.has(name)

    def of(self, name: str) -> np.ndarray:
        """Returns a variable, (records, layers); all NaN if the run does not hold it."""
        shape = len(self.steps), len(self.layers)
        if not self._holds(name):
            return np.full(shape, np.nan)
        return self._run[name].transpose("step", "layer").values.astype(float)

    def along(self, name: str) -> np.ndarray:
        """Returns a variable, (records,), averaged over the layers if it depends on them."""
        if not self._holds(name):
            return np.full(len(self.steps), np.nan)
        values = self._run[name]
        average = values.mean([dim for dim in values.dims if dim != "step"])
        return np.broadcast_to(average.values, len(self.steps)).astype(float)

    @functools.cached_property
    def loss(self) -> np.ndarray:
        """Returns, for each record, the mean training loss since the previous record."""
        return self.along("loss")

    @functools.cached_property
    def weights_before(self) -> np.ndarray:
        """Returns the norm of the parameters at the previous record, (records, layers)."""
        if "parameter_norm" not in self._run:
            return self.of("parameter_norm")
        at_start = self._start["parameter_norm"].transpose("step", "layer").values
        norms = _filled(np.concatenate([at_start, self.of("parameter_norm")]).astype(float))
        return norms[:-1]

    @functools.cached_property
    def ratio(self) -> np.ndarray:
        """Returns the RMS update, divided by `weights_before`, (records, layers)."""
        norms = self.weights_before
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(norms > 0, self.of("update_norm") / norms, np.nan)

    @functools.cached_property
    def first_gradient(self) -> np.ndarray:
        """Returns each layer's gradient norm at the first update, or its RMS up to a record."""
        norms = self.of("first_gradient" if "first_gradient" in self else "gradient_norm")[0]
        return np.where(np.isfinite(norms), norms, np.nan)

    @functools.cached_property
    def gradient_per_entry(self) -> np.ndarray:
        """Returns the RMS of the entries of the gradient, (records, layers)."""
        return self.of("gradient_norm") / np.sqrt(self.parameters)

    def trained(self, records: slice) -> np.ndarray:
        """Returns which layers changed in some records. Unknown updates count as changes."""
        steps = self.of("update_norm")
        unknown = ~np.isfinite(steps).any(axis=0)
        return np.asarray(unknown | (np.nan_to_num(steps[records]) > 0).any(axis=0))

    def part(self, start: float, stop: float) -> slice:
        """Returns the records between two fractions of the run, at least one."""
        count = len(self.steps)
        first = min(int(start * count), count - 1)
        return slice(first, max(first + 1, int(np.ceil(stop * count))))

    def largest(self, name: str) -> float:
        """Returns the largest value of a variable of any dimensions; NaN if it has no value."""
        values = self._run[name].values if self._holds(name) else np.full(1, np.nan)
        return float(np.nanmax(values)) if np.isfinite(values).any() else np.nan

    def largest_along(self, *names: str) -> np.ndarray:
        """Returns the largest value of a variable, or of a product of several, (records,).

        The values of variables at the same layer are multiplied.
        """
        if not all([self._holds(name) for name in names]):
            return np.full(len(self.steps), np.nan)
        values = functools.reduce(operator.mul, (self._run[name] for name in names))
        most = values.max([dim for dim in values.dims if dim != "step"])
        return np.broadcast_to(most.values, len(self.steps)).astype(float)

    @functools.cached_property
    def rate(self) -> float:
        """Returns the learning rate; NaN if the run holds none, or more than one."""
        rates = np.unique(self.rates[np.isfinite(self.rates)])
        return float(rates[0]) if len(rates) == 1 else np.nan

    @functools.cached_property
    def rates(self) -> np.ndarray:
        """Returns the learning rate of each layer, (records, layers)."""
        import xarray as xr

        if not self._holds("learning_rate"):
            return self.of("learning_rate")
        rates = self._run["learning_rate"]
        rates, *_ = xr.broadcast(rates, self._run["step"], self._run["layer"])
        return rates.transpose("step", "layer").values.astype(float)

    @property
    def updates(self) -> tuple[int, int]:
        """Returns the number of updates at the first and at the last record."""
        return int(self.steps[0]), int(self.steps[-1])

    # Reasons and settings.

    @functools.cached_property
    def missing(self) -> dict[str, str]:
        """Returns why values are missing: `{"variable/layer": reason}`."""
        return schema.missing(self._run)

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """Returns the settings of the callbacks that recorded the run, by callback."""
        return schema.settings(self._run)

    @property
    def optimizer(self) -> str:
        """Returns the class name of the optimizer, in lower case."""
        return str(self.attrs.get("optimizer", "")).lower()

    def without_gradient(self, because: str) -> np.ndarray:
        """Returns for which layers the run explains a missing gradient with these words."""
        reasons = [self.missing.get(f"gradient_norm/{name}", "") for name in self.layers]
        return np.array([because in reason for reason in reasons], bool)

    def named(self, chosen: np.ndarray) -> tuple[str, ...]:
        """Returns the names of the chosen layers."""
        return tuple(name for name, each in zip(self.layers, chosen, strict=True) if each)


def median(values: np.ndarray, axis: int | None = None) -> Any:
    """Returns the median of the values that are not NaN; NaN, without a warning, if all are."""
    return _without_warning(np.nanmedian, values, axis)


def mean(values: np.ndarray, axis: int | None = None) -> Any:
    """Returns the mean of the values that are not NaN; NaN, without a warning, if all are."""
    return _without_warning(np.nanmean, values, axis)


def _without_warning(reduce: Callable[..., Any], values: np.ndarray, axis: int | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return reduce(values, axis=axis)


def _check_known(name: str) -> None:
    """Raises a `ValueError` if no variable that the package records has a name."""
    from keras_lcb import quantities

    measured = {getattr(quantities, each).name for each in quantities.__all__}
    known = {*VARIABLES, *filter(None, measured)}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=3)
        similar = f" Similar names are: {', '.join(near)}." if near else ""
        raise ValueError(
            f"The run holds no {name!r}, and no variable that the package records has this name."
            f"{similar} If it is a quantity of your own, name it in the `needs` of the rule."
        )


def _filled(values: np.ndarray) -> np.ndarray:
    """Replaces each NaN by the last value before it, or by the first value if there is none."""
    values = values.copy()
    for column in values.T:
        known = np.flatnonzero(np.isfinite(column))
        if known.size:
            place = np.searchsorted(known, np.arange(len(column)), side="right") - 1
            column[:] = column[known[np.maximum(place, 0)]]
    return values


def _own_records(run: xr.Dataset) -> xr.Dataset:
    """Returns the records after the start in which updates were measured.

    Where callbacks record at different steps, values are NaN at the records of the others. After a
    training has broken down, they are NaN for good.
    """
    run = run.sortby("step").isel(step=run["step"] > run["step"].min())
    measured = [run[name] for name in ("gradient_norm", "update_norm") if name in run]
    known = np.any([values.notnull().any("layer") for values in measured], axis=0)
    if not np.any(known):
        return run
    broken = int(run.attrs.get("first_nonfinite_update", -1)) >= 0
    last = len(known) - int(np.argmax(known[::-1]))
    return run.isel(step=known | (broken & (np.arange(len(known)) >= last)))
