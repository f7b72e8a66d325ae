"""The learning rates of the units that freeze."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.training.layers import TrackedLayer, tracked_layers
from keras_lcb.training.layerwise_model import LayerwiseModel


def rates_of(model: keras.Model, units: Sequence[TrackedLayer]) -> np.ndarray:
    """Returns the present learning rate of each unit; the largest one if its layers differ.

    Args:
        model: A model with a single optimizer, whose state is in the model (as between epochs).
        units: Layers, or groups of them.
    """
    (part,) = internals.parts_of(model.optimizer)
    rate = float(ops.on_host(part.learning_rate))
    if not isinstance(model, LayerwiseModel):
        return np.full(len(units), rate)
    rows = tracked_layers(model).layers
    factors = model.learning_rate_multipliers.by_layer()[: len(rows)]
    factor_of = {
        id(v): factor for row, factor in zip(rows, factors, strict=True) for v in row.variables
    }
    return np.array([rate * max(factor_of[id(v)] for v in unit.variables) for unit in units])
