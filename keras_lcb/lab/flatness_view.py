"""What the pictures of `FlatnessLab` show at one moment, and what can be said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.lab.prediction import LAYER_ANSWERS, Question, where_least
from keras_lcb.lab.sentence import half_way
from keras_lcb.lab.surroundings import STEP_SIZE, Moment
from keras_lcb.lab.view import View, view_of


@dataclass(frozen=True, eq=False, kw_only=True)
class FlatnessView(View):
    """One state of a training, with the loss around its layers.

    Attributes:
        moments: Updates at which was measured.
        alphas: Positions along the slices.
        slices: The newest slices (layers, alphas).
        change: Relative change of the gradients after a step along them (moments, layers).
        rates: Largest stable learning rates (moments, layers).
        learning_rate: The one in force.
    """

    moments: np.ndarray
    alphas: np.ndarray
    slices: np.ndarray
    change: np.ndarray
    rates: np.ndarray
    learning_rate: float


def with_moments(
    view: View, moments: Sequence[Moment], alphas: np.ndarray, learning_rate: float
) -> FlatnessView:
    """Return a view of a training with what was measured around its layers."""
    return _extended(
        view,
        moments=np.array([moment.step for moment in moments]),
        alphas=alphas,
        slices=moments[-1].slices,
        change=np.stack([moment.change for moment in moments]),
        rates=np.stack([moment.rates for moment in moments]),
        learning_rate=learning_rate,
    )


def flatness_view_of(run: xr.Dataset, updates: int | None = None) -> FlatnessView:
    """Return what a finished run shows; of runs stacked over seeds, their mean.

    Args:
        run: A run of this lab.
        updates: How many updates the training was to take; as many as it took by default.
    """
    view = view_of(run, updates)
    mean = run.mean("seed", keep_attrs=True) if "seed" in run.dims else run
    slices = mean["layer_slice"]
    known = slices.notnull().any(["layer", "alpha"]).values
    measured = mean.isel(step=np.flatnonzero(known))
    return _extended(
        view,
        moments=measured["step"].values,
        alphas=measured["alpha"].values,
        slices=measured["layer_slice"].isel(step=-1).transpose("layer", "alpha").values,
        change=measured["relative_gradient_change"].isel(step_size=0).values,
        rates=measured["stable_learning_rate"].values,
        learning_rate=float(mean["learning_rate"][-1]),
    )


def _extended(view: View, **more: Any) -> FlatnessView:
    own = {field.name: getattr(view, field.name) for field in dataclasses.fields(View)}
    return FlatnessView(**own, **more)


def describe_flatness(view: FlatnessView) -> str:
    """Return a few sentences on what a view shows."""
    said = [half_way(view), _rates(view), _rises(view), _change(view)]
    return " ".join(sentence for sentence in said if sentence)


def _rates(view: FlatnessView) -> str:
    rates = view.rates[-1]
    known = np.flatnonzero(np.isfinite(rates))
    if len(known) < 2:
        return ""
    most, least = known[rates[known].argmax()], known[rates[known].argmin()]
    return (
        f"At update {view.moments[-1]:,} {view.layers[most]} bears the largest learning rate, "
        f"moved alone: {rates[most]:.2g}; {view.layers[least]} the smallest: {rates[least]:.2g}. "
        f"All are trained at {view.learning_rate:.2g}."
    )


def _rises(view: FlatnessView) -> str:
    known = np.flatnonzero(np.isfinite(view.slices).all(axis=1))
    if len(known) < 2:
        return ""
    rise = view.slices[:, [0, -1]].mean(axis=1) - view.slices[:, len(view.alphas) // 2]
    most, least = known[rise[known].argmax()], known[rise[known].argmin()]
    without = ", ".join(np.delete(view.layers, known))
    return (
        f"A filter's norm away, the loss rises most for {view.layers[most]}, least for "
        f"{view.layers[least]}."
    ) + (f" No slice of {without}, which has no filters to compare." if without else "")


def _change(view: FlatnessView) -> str:
    change = view.change[-1]
    if not np.isfinite(change).all():
        return ""
    most = int(change.argmax())
    return (
        f"A step of {STEP_SIZE:g} along it changes {view.layers[most]}'s gradient most, "
        f"by {change[most]:.0%}."
    )


def most_stable_layer(view: FlatnessView) -> tuple[str, str]:
    """Tell where in the network the layer is that bears the largest learning rate at the end."""
    rates = view.rates[-1][: len(view.hidden)]

    def seen(most: int, least: int) -> str:
        return (
            f"{view.layers[most]} bears {rates[most]:.2g}, {view.layers[least]} {rates[least]:.2g}."
        )

    return where_least(-rates, seen, "No largest stable learning rate was found.")


FLATNESS_QUESTIONS: dict[str, Question] = {
    "rate": Question(
        "Which layer will bear the largest learning rate?", LAYER_ANSWERS, most_stable_layer
    )
}
