"""Views in the compact form that the viewer reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_lcb.lab.views.layers import LayersView, Quantity
from keras_lcb.runs.block_names import block_name
from keras_lcb.runs.names import VARIABLES
from keras_lcb.viewer.compact import FORMAT, VERSION, evenly
from keras_lcb.viewer.encoding import encoded
from keras_lcb.viewer.events import as_json
from keras_lcb.viewer.titles import title, told

POINTS = 128  # of functions: as many as a small picture shows


def form_of(view: LayersView) -> dict[str, Any]:
    """Returns a view as the viewer reads it, as `compact` does for a run.

    This takes less than a millisecond, so that it can be done for each live picture.
    """
    roles = {True: "hidden", False: "head"}
    axes = {name: np.asarray(values, float) for name, values in view.axes().items()}
    if "x" in axes:
        axes["x"] = axes["x"][evenly(len(axes["x"]), POINTS)]
    return {
        "format": FORMAT,
        "version": VERSION,
        "layers": [
            {"name": name, "block": block_name(name), "role": roles[name in view.hidden]}
            for name in view.layers
        ],
        "steps": np.asarray(view.steps).astype(int).tolist(),
        "axes": {name: values.tolist() for name, values in axes.items()},
        "variables": {each.name: _described(each) for each in view.quantities()},
        "events": as_json(view.events()),
        "missing": {},
        "attributes": {
            "seeds": view.seeds,
            "nonfinite": -1,
            "provisional": int(view.provisional),
            "planned": view.updates,
        },
    }


def announced(form: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Returns a form with more quantities of layers, not measured yet, so that panels say what."""
    layers = len(form["layers"])
    empty = {
        name: _described(Quantity(name, ("layer",), [], np.empty((0, layers)))) for name in names
    }
    return {**form, "variables": {**empty, **form["variables"]}}


def _described(quantity: Quantity) -> dict[str, Any]:
    known = VARIABLES[quantity.name.partition("/")[0]]
    band = {}
    if quantity.band is not None:
        low, high = (encoded(np.asarray(edge)) for edge in quantity.band)
        band = {"band": {"low": low, "high": high}}
    return {
        "longName": known.long_name + told(quantity.name),
        **title(quantity.name),
        "units": known.units,
        "dims": list(quantity.dims),
        "at": [] if quantity.at is None else np.asarray(quantity.at).astype(int).tolist(),
        **encoded(_thinned(quantity)),
        **band,
    }


def _thinned(quantity: Quantity) -> np.ndarray:
    values = np.asarray(quantity.values, float)
    if quantity.dims[-1:] != ("x",):
        return values
    return values[..., evenly(values.shape[-1], POINTS)]
