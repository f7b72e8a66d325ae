"""Where each layer of a model stands: the tree of what contains what, and the names that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras

from keras_lcb.backend import internals


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """A layer and where it stands in a model.

    Attributes:
        layer: The layer.
        path: Its names from the model down, joined by "/"; "" for the model itself.
        inside: The places of the layers that contain it, outermost first, the model left out.
    """

    layer: keras.Layer
    path: str
    inside: tuple[Place, ...] = ()


def places(model: keras.Model) -> list[Place]:
    """Lists a model and all layers in it, each once, depth first, in the order of attachment.

    A layer's own name is used where it stays the same when the model is saved, loaded or cloned:
    in Functional and Sequential models, and wherever the user chose the name. A layer that Keras
    named within the constructor of a class is called after the attribute that holds it, as in
    `encoder` or `blocks/0`; within a Functional or Sequential model that such a constructor makes,
    after its class, counted from the beginning of that model (`dense`, `dense_1`).

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
    """Walks a layer and what it contains.

    Args:
        place: The layer.
        names_last: Whether nothing around it makes its layers anew, under other names.
        seen: The `id` of each layer that was met before.
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
    """Whether a model only wraps another of its name, as `LayerwiseModel.from_model` does."""
    parts = [child for child in children if not isinstance(child, keras.layers.InputLayer)]
    return internals.is_graph(model) and [part.name for part in parts] == [model.name]


def _named(container: keras.Layer, names_last: bool) -> list[tuple[str, keras.Layer]]:
    """Returns the layers directly in a container, each with the last part of its path."""
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
    """Returns for each layer, by its `id`, the attribute of a container that holds it."""
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
