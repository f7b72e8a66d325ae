"""`View`: what a training on a function of one variable shows at one moment."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import first_below
from keras_lcb.lab.views.layers import LayersView, Quantity, layers_view_of


@dataclass(frozen=True, eq=False, kw_only=True)
class View(LayersView):
    """One state of a training on a function of one variable.

    Attributes:
        x: The positions.
        target: The target (x).
        prediction: The output of the network (x).
        contribution: What each layer adds to the output (layers, x); `None` in a plain network.
        frequencies: The wave numbers.
        carried: The shares of each frequency, or R² in a plain network (layers, frequencies); NaN
            for the last layer.
        carries: "share" or "r2".
        error: The error at each frequency (steps, frequencies).
    """

    x: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    contribution: np.ndarray | None
    frequencies: np.ndarray
    carried: np.ndarray
    carries: str
    error: np.ndarray

    @functools.cached_property
    def learned(self) -> np.ndarray:
        """The first update at which each frequency is learned by half; NaN if it never is."""
        return np.array([first_below(self.steps, errors, 0.5) for errors in self.error.T])

    def axes(self) -> dict[str, np.ndarray]:
        """Returns the coordinates of the dimensions other than `layer`."""
        return {"x": self.x, "frequency": self.frequencies}

    def quantities(self) -> Iterator[Quantity]:
        """Yields what the viewer draws. Of functions, only the newest are in a view."""
        yield from super().quantities()
        now = self.steps[-1:]
        yield Quantity("target", ("x",), None, self.target)
        yield Quantity("prediction", ("x",), now, self.prediction[np.newaxis])
        if self.contribution is not None:
            yield Quantity("contribution", ("layer", "x"), now, self.contribution[np.newaxis])
        carried = "frequency_share" if self.carries == "share" else "r2"
        if np.isfinite(self.carried).any():
            yield Quantity(carried, ("layer", "frequency"), now, self.carried[np.newaxis])
        yield Quantity("frequency_error", ("frequency",), self.steps, self.error)


def view_of(run: xr.Dataset, updates: int | None = None) -> View:
    """Returns the view of a finished run; for runs stacked over seeds, with mean and band.

    Args:
        run: A run with functions.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    layers = layers_view_of(run, updates)
    run = run.mean("seed", keep_attrs=True, skipna=False) if "seed" in run.dims else run
    carries = "share" if "frequency_share" in run else "r2"
    carried = run["frequency_share" if carries == "share" else "r2"]
    known = carried.notnull().any(["layer", "frequency"]).values
    last = run.isel(step=-1)
    return View(
        **{field.name: getattr(layers, field.name) for field in dataclasses.fields(layers)},
        x=run["x"].values,
        target=run["target"].values,
        prediction=last["prediction"].values,
        contribution=last["contribution"].values if "contribution" in run else None,
        frequencies=run["frequency"].values,
        carried=carried.isel(step=int(np.flatnonzero(known)[-1])).values,
        carries=carries,
        error=run["frequency_error"].values,
    )
