"""The data of the pictures of `FlatnessLab` at one moment, and sentences about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from keras_lcb.lab.views.layers import Quantity
from keras_lcb.lab.views.moment import STEP_SIZE, Moment
from keras_lcb.lab.views.questions import LAYER_ANSWERS, Question, where_least
from keras_lcb.lab.views.sentence import half_way, rates
from keras_lcb.lab.views.view import View, view_of

# The gradient's change after a step of the size that the lab takes, as `compact` names it.
CHANGE = f"relative_gradient_change/step_size={STEP_SIZE:g}"


_NOT_KNOWN = "cannot be told"


@dataclass(frozen=True, eq=False, kw_only=True)
class FlatnessView(View):
    """One state of a training, with the loss around its layers.

    Attributes:
        moments: The updates at which the loss was measured.
        alphas: The positions along the slices.
        slices: The newest slices (layers, alphas).
        change: The relative change of the gradients after a step along them (moments, layers).
        rates: The largest stable learning rates (moments, layers).
        learning_rate: The current learning rate.
    """

    moments: np.ndarray
    alphas: np.ndarray
    slices: np.ndarray
    change: np.ndarray
    rates: np.ndarray
    learning_rate: float

    def axes(self) -> dict[str, np.ndarray]:
        """Returns the coordinates of the dimensions other than `layer`."""
        return {**super().axes(), "alpha": self.alphas}

    def quantities(self) -> Iterator[Quantity]:
        """Yields what the viewer draws. Of slices, only the newest are in a view."""
        yield from super().quantities()
        yield Quantity("stable_learning_rate", ("layer",), self.moments, self.rates)
        yield Quantity(CHANGE, ("layer",), self.moments, self.change)
        newest = self.slices[np.newaxis]
        yield Quantity("layer_slice", ("layer", "alpha"), self.moments[-1:], newest)


def with_moments(
    view: View, moments: Sequence[Moment], alphas: np.ndarray, learning_rate: float
) -> FlatnessView:
    """Returns a view of a training, extended by the measurements around its layers."""
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
    """Returns the view of a finished run; for runs stacked over seeds, that of their mean.

    Args:
        run: A run of this lab.
        updates: The planned number of updates. Defaults to `None`: the number in the run.
    """
    view = view_of(run, updates)
    mean = run.mean("seed", keep_attrs=True, skipna=False) if "seed" in run.dims else run
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
    """Returns a few sentences about what a view shows."""
    said = [half_way(view), rates(view), _rates(view), _rises(view), _change(view)]
    return " ".join(sentence for sentence in said if sentence)


def _rates(view: FlatnessView) -> str:
    rates = view.rates[-1]
    known = np.flatnonzero(np.isfinite(rates))
    if len(known) < 2:
        return ""
    most, least = known[rates[known].argmax()], known[rates[known].argmin()]
    without = _without(view.layers, rates)
    unknown = f"None was found for {without}. " if without else ""
    return (
        f"At update {view.moments[-1]:,} {view.layers[most]} has the largest stable learning rate "
        f"if it alone moves, {rates[most]:.2g}; {view.layers[least]} the smallest, "
        f"{rates[least]:.2g}. {unknown}All layers are trained at {view.learning_rate:.2g}."
    )


def _without(layers: Sequence[str], rates: np.ndarray) -> str:
    """Returns the names of the layers for which no rate was found."""
    return ", ".join(np.array(layers)[~np.isfinite(rates)])


def _rises(view: FlatnessView) -> str:
    known = np.flatnonzero(np.isfinite(view.slices).all(axis=1))
    if len(known) < 2:
        return ""
    rise = view.slices[:, [0, -1]].mean(axis=1) - view.slices[:, len(view.alphas) // 2]
    most, least = known[rise[known].argmax()], known[rise[known].argmin()]
    without = ", ".join(np.delete(view.layers, known))
    return (
        f"At a distance of one filter norm, the loss rises most for {view.layers[most]}, and least "
        f"for {view.layers[least]}."
    ) + (f" There is no slice of {without}, which has no filters to compare." if without else "")


def _change(view: FlatnessView) -> str:
    change = view.change[-1]
    if not np.isfinite(change).all():
        return ""
    most = int(change.argmax())
    return (
        f"After a step of size {STEP_SIZE:g} along its gradient, {view.layers[most]}'s gradient "
        f"changes most, by {change[most]:.0%}."
    )


def most_stable_layer(view: FlatnessView) -> tuple[str, str]:
    """Returns where the layer with the largest stable learning rate at the end is, and why."""
    rates = view.rates[-1][view.places]

    def seen(most: int, least: int) -> str:
        return (
            f"{view.hidden[most]} up to rate {rates[most]:.2g}, "
            f"{view.hidden[least]} up to {rates[least]:.2g}."
        )

    without = _without(view.hidden, rates)
    if without:  # their rates may be too large to find, as where hardly any gradient arrives
        return _NOT_KNOWN, f"No largest stable learning rate was found for {without}."
    return where_least(-rates, seen, "")


FLATNESS_QUESTIONS: dict[str, Question] = {
    "rate": Question("Which layer can take the largest steps?", LAYER_ANSWERS, most_stable_layer)
}
