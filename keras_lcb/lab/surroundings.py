"""The loss around each layer of a network that trains, measured in pieces short enough to stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb.landscape import (
    Objective,
    gradient_predictiveness,
    largest_stable_learning_rate,
    loss_slice,
)
from keras_lcb.landscape.filters import has_filters
from keras_lcb.runs import schema

STEP_SIZE = 0.03  # along the gradient, for its predictiveness
_DIRECTIONS, _POINTS = 3, 21
# Coarser than the functions' own defaults: what is asked for is a picture, soon.
_STEPS, _TOLERANCE = 20, 0.1


@dataclass(frozen=True)
class Moment:
    """What the loss looks like around each layer after so many updates.

    Attributes:
        step: Updates so far.
        slices: Mean loss over random directions within a layer (layers, positions); NaN for a
            layer without filters to compare, as the first one has with one input.
        change: Change of each layer's gradient after a step along it, relative to its norm.
        rates: Largest stable learning rate of each layer, moved alone; NaN where there is none.
    """

    step: int
    slices: np.ndarray
    change: np.ndarray
    rates: np.ndarray


class Surroundings:
    """Measures the loss around the layers of a model, again and again.

    Args:
        model: A built and compiled model.
        x: Inputs.
        y: Targets.

    Attributes:
        moments: What was measured so far, complete ones only.
        alphas: Positions along the slices, in norms of the filters.
    """

    def __init__(self, model: keras.Model, x: Any, y: Any) -> None:
        # Made once, so that nothing is compiled twice.
        self._objective = Objective(model, x, y)
        self.moments: list[Moment] = []
        self.alphas = np.linspace(-1, 1, _POINTS)

    def measure(self, step: int) -> Iterator[None]:
        """Measure around the weights as they are, one quantity of one layer at each step.

        Args:
            step: Updates so far.
        """
        objective = self._objective
        names = [row.name for row in objective.layers]
        slices, change, rates = [], [], []
        for name in names:
            slices.append(_slice(objective, name))
            yield
            held = gradient_predictiveness(objective, layers=[name], step_sizes=[STEP_SIZE])
            change.append(held["relative_gradient_change"].item())
            yield
            rate = largest_stable_learning_rate(
                objective, layers=[name], steps=_STEPS, tolerance=_TOLERANCE, theory=False
            )
            rates.append(rate["learning_rate"].item())
            yield
        self.moments.append(Moment(step, np.array(slices), np.array(change), np.array(rates)))

    @property
    def results(self) -> xr.Dataset:
        """What was measured, as a run has it."""
        moments = self.moments
        over = ("step", "layer")
        return schema.dataset(
            {
                "layer_slice": ((*over, "alpha"), [moment.slices for moment in moments]),
                "relative_gradient_change": (
                    (*over, "step_size"),
                    [moment.change[:, np.newaxis] for moment in moments],
                ),
                "stable_learning_rate": (over, [moment.rates for moment in moments]),
            },
            {
                "step": [moment.step for moment in moments],
                "layer": [row.name for row in self._objective.layers],
                "depth": list(range(len(self._objective.layers))),
                "alpha": self.alphas,
                "step_size": [STEP_SIZE],
            },
        )


def _slice(objective: Objective, layer: str) -> np.ndarray:
    row = objective.row(layer)
    if not has_filters(row, [keras.ops.convert_to_numpy(w) for w in objective.weights(row)]):
        return np.full(_POINTS, np.nan)
    line = loss_slice(objective, layer=layer, directions=_DIRECTIONS, points=_POINTS)
    return line["loss"].mean("direction").values
