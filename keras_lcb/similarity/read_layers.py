"""Whose outputs are the activations of a layer, or of a group of layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.selection import LayerSelection, select_layers
from keras_lcb.training.tree import places


def read_layers(
    model: keras.Model, rows: Sequence[TrackedLayer], selection: LayerSelection = None
) -> list[tuple[keras.Layer, ...]]:
    """Returns, for each row of a run, the Keras layers that its activations may come from.

    A layer's activations are its own outputs. Those of a group are the outputs of whichever
    member the model leaves last, and layers without weights are members, too, wherever the
    selection takes them in: a residual block gives what follows its addition, and a nested model
    what it returns.

    Args:
        model: The model.
        rows: Layers or groups, as `select_layers` made them of the selection.
        selection: The selection, see `keras_lcb.training.selection.select_layers`.

    Example:
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
    """Lists the layers of a model, those without weights among them."""
    return [
        TrackedLayer(place.path, "", "hidden", (), layers=(place.layer,), inside=place.inside)
        for place in places(model)
        if place.path
    ]


def _safe(selection: LayerSelection) -> LayerSelection:
    """A function that groups layers may know of those with weights only."""
    if not callable(selection) or isinstance(selection, keras.Layer):
        return selection

    def grouped(layer: keras.Layer) -> str | None:
        try:
            return selection(layer)
        except Exception:
            return None

    return grouped
