"""`LayersView`: what any training shows of its layers at one moment, as plain arrays."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.analysis.convergence import first_below, normalized_distance
from keras_lcb.runs import schema
from keras_lcb.viewer.events import Event, learning_rate_event


@dataclass(frozen=True)
class Quantity:
    """A quantity of a view.

    Attributes:
        name: Its name in a run.
        dims: The dimensions beside that along training.
        at: The updates it is known at; `None` if it does not change.
        values: Record by record.
        band: The lowest and highest values over several seeds; `None` for one seed.
    """

    name: str
    dims: tuple[str, ...]
    at: Any
    values: np.ndarray
    band: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class LayersView:
    """One state of a training.

    Attributes:
        layers: The names of the layers, shallow first, the last layer at the end.
        updates: The planned number of updates.
        steps: The updates at which records were taken.
        distance_steps: The updates at which `distance` is known.
        distance: The normalized distance to the newest or final endpoint (distance_steps, layers).
        gradient: The RMS gradient norms (steps, layers); NaN at the start.
        loss: The mean training loss before each record (steps).
        provisional: Whether the training continues, so that the endpoint is not final.
        spread: The lowest and highest distance over several seeds; `None` for one seed.
        seeds: The number of trainings in the view.
        changes: Learning rates that were set on the way, each as the update from which it is seen,
            the rate before, and the rate since.
        heads: The names of the layers that compute outputs. Defaults to `None`: the last layer.
    """

    layers: tuple[str, ...]
    updates: int
    steps: np.ndarray
    distance_steps: np.ndarray
    distance: np.ndarray
    gradient: np.ndarray
    loss: np.ndarray
    provisional: bool
    spread: tuple[np.ndarray, np.ndarray] | None = None
    seeds: int = 1
    changes: tuple[tuple[int, float, float], ...] = ()
    heads: tuple[str, ...] | None = None

    @property
    def step(self) -> int:
        """The number of updates so far."""
        return int(self.steps[-1])

    @property
    def hidden(self) -> tuple[str, ...]:
        """The hidden layers: all but the heads, or all if there are no others."""
        return tuple(self.layers[place] for place in self.places)

    @functools.cached_property
    def places(self) -> list[int]:
        """Where the hidden layers are among the layers."""
        heads = self.layers[-1:] if self.heads is None else self.heads
        others = [place for place, name in enumerate(self.layers) if name not in heads]
        return others or list(range(len(self.layers)))

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

    def events(self) -> list[Event]:
        """Returns what happened on the way: other learning rates."""
        return [learning_rate_event(*change) for change in self.changes]

    def outcome(self) -> dict[str, str]:
        """Returns what came out, in numbers: a head and a text for each column of a table."""
        when = self.half_way[self.places]
        first, last = (f"{w:,.0f}" if np.isfinite(w) else "never" for w in (when[0], when[-1]))
        return {
            "half-way: first layer": first,
            "last layer": last,
            "loss": f"{self.loss[-1]:.4g}",
        }

    def alike(self, other: LayersView) -> bool:
        """Returns whether another view shows the same."""
        mine, theirs = vars(self), vars(other)
        return type(self) is type(other) and all(
            _same(mine[field.name], theirs[field.name]) for field in dataclasses.fields(self)
        )

    def axes(self) -> dict[str, np.ndarray]:
        """Returns the coordinates of the dimensions other than `layer`."""
        return {}

    def quantities(self) -> Iterator[Quantity]:
        """Yields what the viewer draws."""
        yield Quantity(
            "normalized_distance", ("layer",), self.distance_steps, self.distance, self.spread
        )
        yield Quantity("gradient_norm", ("layer",), self.steps, self.gradient)
        yield Quantity("loss", (), self.steps, self.loss)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return bool(one is other or one == other)


def before_training(layers: Sequence[str], updates: int) -> LayersView:
    """Returns the view of a network of these layers before so many updates."""
    count = len(layers)
    return LayersView(
        layers=tuple(layers),
        updates=updates,
        steps=np.array([0]),
        distance_steps=np.array([0]),
        distance=np.ones((1, count)),
        gradient=np.full((1, count), np.nan),
        loss=np.array([np.nan]),
        provisional=True,
    )


def layers_view_of(run: xr.Dataset, updates: int | None = None) -> LayersView:
    """Returns the view of a finished run; for runs stacked over seeds, with mean and band.

    Args:
        run: A run.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    distance = normalized_distance(run)
    spread = None
    seeds = run.sizes.get("seed", 1)
    if "seed" in run.dims:
        # As `compact` does: a mean of those seeds alone that have a value would mislead.
        low, high = (getattr(distance, how)("seed", skipna=False) for how in ("min", "max"))
        spread = low.values, high.values
        run = run.mean("seed", keep_attrs=True, skipna=False)
        distance = distance.mean("seed", skipna=False)
    return LayersView(
        layers=tuple(str(name) for name in run["layer"].values),
        updates=int(run["step"][-1]) if updates is None else updates,
        steps=run["step"].values,
        distance_steps=run["step"].values,
        distance=distance.transpose("step", "layer").values,
        gradient=run["gradient_norm"].values,
        loss=run["loss"].values if "loss" in run else np.full(run.sizes["step"], np.nan),
        provisional=bool(run.attrs.get("provisional", 0)),
        spread=spread,
        seeds=seeds,
        changes=_changes(run),
        heads=_heads(run),
    )


def _heads(run: xr.Dataset) -> tuple[str, ...] | None:
    if "role" not in run.coords:
        return None
    return tuple(str(name) for name in run["layer"].values[run["role"].values == "head"])


def _changes(run: xr.Dataset) -> tuple[tuple[int, float, float], ...]:
    """Returns the learning rates that were set on the way, seen at the record after."""
    changes = schema.settings(run).get("learning_rate_changes", [])
    initial = float(run.attrs.get("learning_rate", np.nan))
    every = int(run["step"][1] - run["step"][0]) if run.sizes["step"] > 1 else 0
    return stages(initial, changes, every)


def stages(initial: float, changes: Sequence[Sequence[float]], later: int = 0) -> Any:
    """Returns learning rates as a view has them.

    Args:
        initial: The learning rate at first.
        changes: Pairs of an update and the rate that was set there.
        later: How many updates later a change is seen. Defaults to 0.
    """
    rates = [initial, *(rate for _, rate in changes)]
    return tuple(
        (int(update) + later, before, rate)
        for (update, rate), before in zip(changes, rates, strict=False)
    )
