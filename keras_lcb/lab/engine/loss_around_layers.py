"""Measures the loss around each layer during training, in short pieces, so that it can stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import xarray as xr

from keras_lcb.lab.views.moment import STEP_SIZE, Moment
from keras_lcb.landscape import (
    Objective,
    gradient_predictiveness,
    largest_stable_learning_rate,
    loss_slice,
)
from keras_lcb.landscape.filters import has_filters
from keras_lcb.runs import schema

_DIRECTIONS, _POINTS = 3, 21
# Less precise than the functions' defaults, since this is for a picture that should appear soon.
_STEPS, _TOLERANCE = 20, 0.1


class LossAroundLayers:
    """Measures the loss around the layers of a model at several moments.

    Args:
        model: A built and compiled model.
        x: Inputs.
        y: Targets.

    Attributes:
        moments: The complete measurements so far.
        alphas: The positions along the slices, in units of the filters' norms.
    """

    def __init__(self, model: keras.Model, x: Any, y: Any) -> None:
        # Made only once, so that it is compiled only once.
        self._objective = Objective(model, x, y)
        self.moments: list[Moment] = []
        self.alphas = np.linspace(-1, 1, _POINTS)

    def measure(self, step: int) -> Iterator[None]:
        """Measures around the current weights. Each step measures one quantity of one layer.

        Args:
            step: The number of updates so far.
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
        """The measurements so far, as a run."""
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
