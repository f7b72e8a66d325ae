"""Artificial runs of sound trainings, in which tests change something."""

from __future__ import annotations

import numpy as np

from keras_lcb.runs import schema

LAYERS = ["first", "norm", "second", "third", "head"]
ROLES = ["hidden", "normalization", "hidden", "hidden", "head"]
RECORDS = 20
UPDATES = 10  # between records


def training(attrs=None, *, change=None, records=RECORDS, leave_out=()):
    """Returns a run of four layers with kernels and a normalization.

    Args:
        attrs: Further attributes.
        change: A function that takes the arrays by name, those over layers (records + 1, layers),
            and changes them.
        records: The number of records after the start.
        leave_out: Names of variables that the run does not hold.
    """
    time = np.linspace(0, 1, records + 1)
    shape = records + 1, len(LAYERS)
    falling = np.exp(-4 * time)
    arrays = {
        "gradient_norm": np.tile((0.2 + falling)[:, None], shape[1]) * [1, 0.5, 1.2, 1.5, 2],
        "update_norm": np.tile(0.02 * (0.2 + falling)[:, None], shape[1]),
        "parameter_norm": np.tile(5.0 + 0.5 * time[:, None], shape[1]),
        "dead_units": np.full(shape, 0.1),
        "normalized_distance": np.tile((1 - time)[:, None] ** 1.5, shape[1]),
        "loss": 2.3 * falling + 0.05,
        "learning_rate": np.full(records + 1, 0.1),
    }
    for name in ("gradient_norm", "update_norm", "dead_units", "loss"):
        arrays[name][0] = np.nan
    if change is not None:
        change(arrays)
    described = {"long_name": "share of units without gradient", "units": "1"}
    variables = {
        name: (("step", "layer") if values.ndim == 2 else ("step",), values, described)
        for name, values in arrays.items()
        if name not in leave_out
    }
    coords = {
        "step": np.arange(records + 1) * UPDATES,
        "layer": LAYERS,
        "depth": range(len(LAYERS)),
        "parameters": [100, 20, 100, 100, 50],
        "shape": ["(10, 10)", "", "(10, 10)", "(10, 10)", "(10, 5)"],
        "role": ROLES,
        "kind": ["Dense", "BatchNormalization", "Dense", "Dense", "Dense"],
    }
    known = {"reference": "final", "optimizer": "SGD", "provisional": False}
    return schema.dataset(variables, coords, known | (attrs or {}))


def times(name, layer, factor, since=0):
    """Returns a change that multiplies an array at a layer, from a record on."""

    def change(arrays):
        arrays[name][since:, LAYERS.index(layer)] *= factor

    return change


def both(*changes):
    """Returns a change that makes several changes."""

    def change(arrays):
        for each in changes:
            each(arrays)

    return change
