"""The data of a lab's pictures at one moment, as plain arrays.

`collect` is too slow for ten pictures a second. Therefore a view during training is made from the
callbacks' records, and not from a run. Finished runs are converted to the same kind of view.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import first_below, normalized_distance
from keras_lcb.callbacks.recorder import Record
from keras_lcb.callbacks.snapshots import kept

_MOST_DISTANCES = 60  # in a view during training, since each new endpoint changes all distances


@dataclass(frozen=True, eq=False)
class View:
    """One state of a training.

    Attributes:
        layers: The names of the layers, shallow first, the last layer ("readout") at the end.
        updates: The planned number of updates.
        steps: The updates at which records were taken.
        distance_steps: The updates at which `distance` is known.
        distance: The normalised distance to the newest or final endpoint (distance_steps, layers).
        gradient: The RMS gradient norms (steps, layers); NaN at the start.
        loss: The mean training loss before each record (steps).
        x: The positions.
        target: The target (x).
        prediction: The output of the network (x).
        contribution: What each layer adds to the output (layers, x); `None` in a plain network.
        frequencies: The wave numbers.
        carried: The shares of each frequency, or R² in a plain network (layers, frequencies); NaN
            for the last layer.
        carries: "share" or "r2".
        error: The error at each frequency (steps, frequencies).
        provisional: Whether the training continues, so that the endpoint is not final.
        spread: The lowest and highest distance over several seeds; `None` for one seed.
        seeds: The number of trainings in the view.
    """

    layers: tuple[str, ...]
    updates: int
    steps: np.ndarray
    distance_steps: np.ndarray
    distance: np.ndarray
    gradient: np.ndarray
    loss: np.ndarray
    x: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    contribution: np.ndarray | None
    frequencies: np.ndarray
    carried: np.ndarray
    carries: str
    error: np.ndarray
    provisional: bool
    spread: tuple[np.ndarray, np.ndarray] | None = None
    seeds: int = 1

    @property
    def step(self) -> int:
        """The number of updates so far."""
        return int(self.steps[-1])

    @property
    def hidden(self) -> tuple[str, ...]:
        """The hidden layers: all but the last."""
        return self.layers[:-1]

    @functools.cached_property
    def half_way(self) -> np.ndarray:
        """The first update at which each layer is half-way; NaN for a layer that never is."""
        known = np.isfinite(self.distance)
        return np.array(
            [
                first_below(self.distance_steps[own], values[own], 0.5)
                for values, own in zip(self.distance.T, known.T, strict=True)
            ]
        )

    @functools.cached_property
    def learned(self) -> np.ndarray:
        """The first update at which each frequency is learned by half; NaN if it never is."""
        return np.array([first_below(self.steps, errors, 0.5) for errors in self.error.T])


def live_view(
    convergence: Sequence[Record],
    gradients: Sequence[Record],
    responses: Sequence[Record],
    *,
    layers: tuple[str, ...],
    updates: int,
    x: np.ndarray,
    target: np.ndarray,
    frequencies: np.ndarray,
) -> View:
    """Returns the view during training, from the records of the three callbacks."""
    records = min(len(convergence), len(gradients), len(responses))
    convergence, gradients = convergence[:records], gradients[:records]
    responses = responses[:records]
    chosen = _evenly(records)
    newest = responses[-1]
    shares = [record for record in responses if "frequency_share" in record or "r2" in record]
    carries = "share" if "frequency_share" in shares[-1] else "r2"
    return View(
        layers=layers,
        updates=updates,
        steps=np.array([record["step"] for record in convergence]),
        distance_steps=np.array([convergence[place]["step"] for place in chosen]),
        distance=_distances([convergence[place] for place in chosen], len(layers)),
        gradient=np.stack([record["gradient_norm"] for record in gradients]),
        loss=np.array([record["loss"] for record in convergence]),
        x=x,
        target=target,
        prediction=newest["prediction"],
        contribution=newest.get("contribution"),
        frequencies=frequencies,
        carried=shares[-1]["frequency_share" if carries == "share" else "r2"],
        carries=carries,
        error=np.stack([record["frequency_error"] for record in responses]),
        provisional=True,
    )


def stacked(runs: Sequence[xr.Dataset]) -> xr.Dataset:
    """Returns one run: the only one, or several stacked along `seed`, up to their shortest."""
    if len(runs) == 1:
        return runs[0]
    records = min(run.sizes["step"] for run in runs)
    return xr.concat(
        [run.isel(step=slice(records)).drop_vars("wall_time") for run in runs],
        xr.IndexVariable("seed", [run.attrs["seed"] for run in runs]),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def view_of(run: xr.Dataset, updates: int | None = None) -> View:
    """Returns the view of a finished run; for runs stacked over seeds, with mean and band.

    Args:
        run: A run with functions.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    distance = normalized_distance(run)
    spread = None
    seeds = run.sizes.get("seed", 1)
    if "seed" in run.dims:
        spread = distance.min("seed").values, distance.max("seed").values
        run = run.mean("seed", keep_attrs=True)
        distance = distance.mean("seed")
    carries = "share" if "frequency_share" in run else "r2"
    carried = run["frequency_share" if carries == "share" else "r2"]
    known = carried.notnull().any(["layer", "frequency"]).values
    last = run.isel(step=-1)
    return View(
        layers=tuple(str(name) for name in run["layer"].values),
        updates=int(run["step"][-1]) if updates is None else updates,
        steps=run["step"].values,
        distance_steps=run["step"].values,
        distance=distance.transpose("step", "layer").values,
        gradient=run["gradient_norm"].values,
        loss=run["loss"].values if "loss" in run else np.full(run.sizes["step"], np.nan),
        x=run["x"].values,
        target=run["target"].values,
        prediction=last["prediction"].values,
        contribution=last["contribution"].values if "contribution" in run else None,
        frequencies=run["frequency"].values,
        carried=carried.isel(step=int(np.flatnonzero(known)[-1])).values,
        carries=carries,
        error=run["frequency_error"].values,
        provisional=bool(run.attrs.get("provisional", 0)),
        spread=spread,
        seeds=seeds,
    )


def _evenly(count: int) -> list[int]:
    places = np.linspace(0, count - 1, min(count, _MOST_DISTANCES))
    return np.unique(places.round().astype(int)).tolist()


def _distances(records: Sequence[Record], layers: int) -> np.ndarray:
    """Returns the normalised distances of the records to the last one."""
    distances = np.empty((len(records), layers))
    with np.errstate(all="ignore"):
        for layer in range(layers):
            name = kept(layer)
            end = records[-1][name]
            for place, record in enumerate(records):
                apart = record[name] - end
                distances[place, layer] = np.sqrt(np.dot(apart, apart))
        return np.where(distances[0] > 0, distances / distances[0], np.nan)
