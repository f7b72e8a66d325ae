"""The tree of a model's layers, and the path of each layer in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras

from keras_lcb.backend import internals


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """A layer and its place in the tree of a model's layers.

    Attributes:
        layer: The layer.
        path: The names on the way from the model to the layer, joined by "/"; "" for the model.
        inside: The places of the layers that contain it, outermost first, without the model.
    """

    layer: keras.Layer
    path: str
    inside: tuple[Place, ...] = ()


def places(model: keras.Model) -> list[Place]:
    """Lists a model and all layers in it, each once, depth first, in the order of attachment.

    A path must stay the same if the model is saved, loaded or cloned. Therefore a layer's own name
    is used only if it is stable: in Functional and Sequential models, and wherever the user chose
    the name. If the constructor of a class creates a layer without a name, the layer is called
    after the attribute that holds it, such as `encoder` or `blocks/0`. If such a constructor
    creates a Functional or Sequential model, the unnamed layers of that model are called after
    their classes and numbered (`dense`, `dense_1`).

    Args:
        model: A model, built or not.

    Example:
    >>> inner = keras.Sequential([keras.layers.Dense(2, name="a")], name="base")
    >>> model = keras.Sequential([inner, keras.layers.Dense(1, name="head")])
    >>> [place.path for place in places(model)]
    ['', 'base', 'base/a', 'head']
    """
    return list(_walk(Place(model, ""), True, set()))


def _walk(place: Place, names_last: bool, seen: set[int]) -> Iterator[Place]:
    """Walks through a layer and all layers in it.

    Args:
        place: The layer.
        names_last: Whether automatic names inside this layer are stable.
        seen: The `id` of each layer that was visited before.
    """
    if id(place.layer) in seen:
        return
    seen.add(id(place.layer))
    yield place
    names_last = names_last and internals.names_are_kept(place.layer)
    inside = (*place.inside, place) if place.path else ()
    named = _named(place.layer, names_last)
    if not place.path and _is_wrapped(place.layer, [child for _, child in named]):
        named = [
            ("", child) if child.name == place.layer.name else (n, child) for n, child in named
        ]
    for name, child in named:
        path = "/".join(filter(None, (place.path, name)))
        yield from _walk(Place(child, path, inside), names_last, seen)


def _is_wrapped(model: keras.Layer, children: list[keras.Layer]) -> bool:
    """Returns whether a model only wraps a single layer that has the model's own name.

    `LayerwiseModel.from_model` makes such models.
    """
    parts = [child for child in children if not isinstance(child, keras.layers.InputLayer)]
    return internals.is_graph(model) and [part.name for part in parts] == [model.name]


def _named(container: keras.Layer, names_last: bool) -> list[tuple[str, keras.Layer]]:
    """Returns the layers directly inside a container, each with the last part of its path."""
    attributes = {} if internals.is_graph(container) else _attributes(container)
    counts: dict[str, int] = {}
    named = []
    for child in internals.sublayers(container):
        if names_last or not internals.has_automatic_name(child):
            name = child.name
        elif id(child) in attributes:
            name = attributes[id(child)]
        else:
            stem = internals.automatic_stem(child)
            number = counts.get(stem, 0)
            counts[stem] = number + 1
            name = f"{stem}_{number}" if number else stem
        named.append((name, child))
    return named


def _attributes(container: keras.Layer) -> dict[int, str]:
    """Returns a mapping from the `id` of a layer to the container's attribute that holds it."""
    found: dict[int, str] = {}
    attributes = internals.attributes_of(container).items()
    for name, value in sorted(attributes, key=lambda item: item[0].startswith("_")):
        for path, layer in _layers_in(value, name):
            found.setdefault(id(layer), path)
    return found


def _layers_in(value: Any, path: str) -> Iterator[tuple[str, keras.Layer]]:
    if isinstance(value, keras.Layer):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _layers_in(each, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _layers_in(each, f"{path}/{index}")
