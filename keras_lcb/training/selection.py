"""Which layers a user selects: by name, by the nested model that holds them, or by a function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_lcb.runs.block_names import block_name
from keras_lcb.training.layers import TrackedLayer

LayerSelection = str | Sequence[str | keras.Layer] | Callable[[keras.Layer], str | None] | None

_CHOICES = "`layers` must be None, 'blocks', a list of names or layers, or a function;"


def select_layers(layers: Sequence[TrackedLayer], selection: LayerSelection) -> list[TrackedLayer]:
    """Chooses or groups layers.

    Args:
        layers: The tracked layers of a model.
        selection: `None` for every layer; "blocks" for the blocks that the layers' names tell
            (see `keras_lcb.runs.block_names`); a sequence of names or Keras layers, each of
            which gives one row (see `matching`); or a function that takes a Keras layer and
            returns the name of its group, or `None` to leave the layer out.

    Returns:
        The rows, in the order in which the model calls the first layer of each.

    Raises:
        ValueError: If a name fits no layer, or no layer is selected.
    """
    if selection is None:
        return list(layers)
    groups: dict[str, list[TrackedLayer]] = {}
    if isinstance(selection, str) and selection == "blocks":
        for layer in layers:
            groups.setdefault(block_name(layer.name), []).append(layer)
    elif isinstance(selection, str):
        near = difflib.get_close_matches(selection, ["blocks"])
        meant = f"layers='{near[0]}'" if near else f"layers=['{selection}']"
        raise ValueError(f"{_CHOICES} received {selection!r}. Did you mean {meant}?")
    elif callable(selection) and not isinstance(selection, keras.Layer):
        for layer in layers:
            group = selection(layer.layers[0])
            if group is not None:
                groups.setdefault(str(group), []).append(layer)
    elif isinstance(selection, keras.Layer) or not isinstance(selection, Iterable):
        raise ValueError(f"{_CHOICES} received {selection!r}.")
    else:
        for wanted in selection:
            members = matching(layers, wanted)
            groups[_group_name(wanted, members)] = members
    if not groups:
        raise ValueError(
            f"`layers` selects no layer. The layers of the model are: {_listing(layers)}."
        )
    position = {id(layer): index for index, layer in enumerate(layers)}
    rows = [_group(name, members) for name, members in groups.items()]
    first = {name: min(position[id(m)] for m in members) for name, members in groups.items()}
    return sorted(rows, key=lambda row: first[row.name])


def matching(layers: Sequence[TrackedLayer], wanted: str | keras.Layer) -> list[TrackedLayer]:
    """Returns the layers that a name stands for.

    A layer's full name selects that layer. A nested model, its name, or its path selects all
    layers in it. Any other name is a prefix: it selects the layers whose names begin with it, if
    the next character is not a letter or a digit. So `block_1` selects `block_1_expand`, but not
    `block_10_expand`.

    Args:
        layers: The tracked layers of a model.
        wanted: A name, or a Keras layer of the model.

    Raises:
        ValueError: If there is no such layer.
    """
    if not isinstance(wanted, str | keras.Layer):
        raise ValueError(
            f"A layer must be given by its name or as a Keras layer; received {wanted!r}. The "
            f"layers of the model are: {_listing(layers)}."
        )
    if isinstance(wanted, keras.Layer):
        found = [layer for layer in layers if _is_within(layer, wanted)]
        if not found:
            raise ValueError(
                f"The layer '{wanted.name}' does not belong to the model, or has no weights. "
                f"The layers of the model are: {_listing(layers)}."
            )
        return found
    found = (
        [layer for layer in layers if layer.name == wanted]
        or [layer for layer in layers if layer.name.startswith(f"{wanted.rstrip('/')}/")]
        or [layer for layer in layers if any(place.layer.name == wanted for place in layer.inside)]
        or [layer for layer in layers if _begins_with(layer.name, wanted)]
    )
    if not found or not wanted:
        nearest = difflib.get_close_matches(wanted, [layer.name for layer in layers], n=3)
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        raise ValueError(
            f"No layer or nested model is called '{wanted}', and no layer's name begins with "
            f"'{wanted}' followed by a character such as _ or /.{hint} The layers of the model "
            f"are: {_listing(layers)}."
        )
    return found


def _is_within(layer: TrackedLayer, outer: keras.Layer) -> bool:
    around = [place.layer for place in layer.inside]
    return any(each is outer for each in (*layer.layers, *around))


def _begins_with(name: str, prefix: str) -> bool:
    rest = name[len(prefix) :]
    at_boundary = not prefix[-1:].isalnum() or not rest[:1].isalnum()
    return name.startswith(prefix) and at_boundary


def _group_name(wanted: str | keras.Layer, members: Sequence[TrackedLayer]) -> str:
    """Returns the name of a row: the name that was given, or the path of the given layer."""
    if isinstance(wanted, str):
        return wanted
    first = members[0]
    return next((place.path for place in first.inside if place.layer is wanted), first.name)


def _listing(layers: Sequence[TrackedLayer], most: int = 12) -> str:
    names = [layer.name for layer in layers]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _group(name: str, members: list[TrackedLayer]) -> TrackedLayer:
    if len(members) == 1 and members[0].name == name:
        return members[0]
    roles = {member.role for member in members}
    role = next(r for r in ("hidden", "head", "embedding", "normalization") if r in roles)
    return TrackedLayer(
        name=name,
        kind="+".join(dict.fromkeys(member.kind for member in members)),
        role=role,
        variables=tuple(v for member in members for v in member.variables),
        weights=tuple(v for member in members for v in member.weights),
        layers=tuple(layer for member in members for layer in member.layers),
    )
