"""Makes the dataset that the functions of this room return, and their progress bar."""

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
    """Builds the dataset of a measurement, with a description of its layers and its loss.

    Args:
        objective: The loss that was measured.
        rows: The layers along the dimension `layer`; empty for results without this dimension.
        variables: A dict from the name of a variable to `(dims, values)`.
        name: Name of the function that measured. Its settings are stored under this name.
        settings: The settings of that function.
        coords: Coordinates other than those of the layers.
        missing: Why values are missing, as a dict `{"variable/layer": reason}`.

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
    """Returns the coordinates that describe each layer.

    `depth` is the layer's place in the model. As in every other run, frozen layers count, too. The
    depth of the whole model is that of its last layer plus one.
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
    """Yields the items, and shows a progress bar if `progress` is true."""
    items = list(items)
    bar = keras.utils.Progbar(len(items), unit_name=unit) if progress else None
    for item in items:
        yield item
        if bar is not None:
            bar.add(1)
