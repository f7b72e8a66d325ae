"""The layers whose outputs are the activations of a layer, or of a group of layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection, select_layers
from keras_lcb.training.tree import places


def read_layers(
    model: keras.Model, rows: Sequence[TrackedLayer], selection: LayerSelection = None
) -> list[tuple[keras.Layer, ...]]:
    """Returns the Keras layers from which the activations of each row of a run may come.

    The activations of a layer are its outputs. The activations of a group are the outputs of the
    member that returns last when the model is called. Layers without weights also belong to the
    group if the selection includes them. So the activations of a residual block are those after its
    addition, and the activations of a nested model are its outputs.

    Cost: none of the model's layers is called.

    Args:
        model: The model.
        rows: The layers or groups that `select_layers` made from the selection.
        selection: The selection; see `keras_lcb.training.selection.select_layers`. Defaults to
            `None`.

    Returns:
        A tuple of layers for each row.

    Example:
    >>> from keras_lcb.training.selection import select_layers
    >>> from keras_lcb.training.layers import tracked_layers
    >>> from keras_lcb.vision import build_resnet
    >>> model = build_resnet((8, 8, 1), classes=2, depths=(1,), width=2)
    >>> rows = select_layers(tracked_layers(model).layers, "blocks")
    >>> [members[-1].name for members in read_layers(model, rows, "blocks")]
    ['stem_relu', 'stage1_block1_relu', 'head']
    """
    if selection is None:
        return [row.layers for row in rows]
    groups = {row.name: row.layers for row in select_layers(_all_layers(model), _safe(selection))}
    return [groups.get(row.name, row.layers) for row in rows]


def _all_layers(model: keras.Model) -> list[TrackedLayer]:
    """Lists all layers of a model, including those without weights."""
    return [
        TrackedLayer(place.path, "", "hidden", (), layers=(place.layer,), inside=place.inside)
        for place in places(model)
        if place.path
    ]


def _safe(selection: LayerSelection) -> LayerSelection:
    """Lets a grouping function fail, because it may not expect layers without weights."""
    if not callable(selection) or isinstance(selection, keras.Layer):
        return selection

    def grouped(layer: keras.Layer) -> str | None:
        try:
            return selection(layer)
        except Exception:
            return None

    return grouped
