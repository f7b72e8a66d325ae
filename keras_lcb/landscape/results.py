"""What the landscape's functions share: the dataset they return, and a bar while they work."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import keras

from keras_lcb.landscape.objective import ALL, Objective
from keras_lcb.runs import schema
from keras_lcb.training.layers import TrackedLayer, tracked_layers

if TYPE_CHECKING:
    import xarray as xr

Item = TypeVar("Item")
Variables = Mapping[str, tuple[tuple[str, ...], Any]]


def dataset(
    objective: Objective,
    rows: Sequence[TrackedLayer],
    variables: Variables,
    *,
    name: str,
    settings: Mapping[str, Any],
    coords: Mapping[str, Any] | None = None,
    missing: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Build the dataset of a measurement, with what is known of its layers and its loss.

    Args:
        objective: What was measured.
        rows: The layers along `layer`; none for results that have no such dimension.
        variables: Name to `(dims, values)`.
        name: The function that measured; its settings stand under this name.
        settings: What it was asked for.
        coords: Coordinates beside those of the layers.
        missing: Why values are missing: `{"variable/layer": reason}`.

    Returns:
        An `xarray.Dataset` under the names of `keras_lcb.runs.schema`.
    """
    attributes = {
        "keras_version": keras.__version__,
        "backend": keras.backend.backend(),
        "backend_version": importlib.metadata.version(keras.backend.backend()),
        "missing": dict(missing or {}),
        "settings": {
            name: {
                "samples": objective.samples,
                "loss": objective.loss_name,
                "training": objective.training,
                **settings,
            }
        },
    }
    along = _layer_coordinates(objective, rows) if rows else {}
    return schema.dataset(variables, {**along, **(coords or {})}, attributes)


def _layer_coordinates(objective: Objective, rows: Sequence[TrackedLayer]) -> dict[str, Any]:
    """Each layer's place in the whole model, frozen layers counted, as in every other run.

    The whole model stands after its layers.
    """
    known = tracked_layers(objective.model).layers
    place = {id(v): depth for depth, layer in enumerate(known) for v in layer.variables}
    return {
        "layer": [row.name for row in rows],
        "depth": [
            len(known) if row.name == ALL else min(place[id(v)] for v in row.variables)
            for row in rows
        ],
        "parameters": [row.parameters for row in rows],
        "kind": [row.kind for row in rows],
        "role": [row.role for row in rows],
    }


def followed(items: Iterable[Item], progress: bool, unit: str = "layer") -> Iterator[Item]:
    """Yields items one after the other, with a progress bar on request."""
    items = list(items)
    bar = keras.utils.Progbar(len(items), unit_name=unit) if progress else None
    for item in items:
        yield item
        if bar is not None:
            bar.add(1)
