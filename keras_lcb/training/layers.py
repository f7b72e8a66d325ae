"""Which variable belongs to which layer, and in what order the layers are called.

A *layer* of a run is the layer object that directly owns variables which train when it is not
frozen. A shared layer counts once; the cells of a recurrent layer are reported under it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_lcb.training.call_trace import CallTrace, trace_calls

_CACHE = "_tracked_layers"  # a symbolic call is cheap, but not as cheap as none

LayerSelection = Sequence[str] | Callable[[keras.layers.Layer], str | None] | None


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedLayer:
    """One row of a run: a layer, or a group of layers read as one.

    Attributes:
        name: The layer's path relative to the model, unique among the tracked layers.
        kind: Class name of the layer; of a group, those of its members joined by "+".
        role: "hidden", "head" (feeds an output of the model), "normalization" or "embedding".
        variables: All variables that train when the layer is not frozen.
        layers: The Keras layers behind the row.
    """

    name: str
    kind: str
    role: str
    variables: tuple[keras.Variable, ...]
    layers: tuple[keras.layers.Layer, ...]

    @property
    def parameters(self) -> int:
        """Number of scalars in `variables`."""
        return sum(_size(v) for v in self.variables)

    @property
    def kernels(self) -> tuple[keras.Variable, ...]:
        """The variables of rank two and more: those that have a direction worth comparing."""
        return tuple(v for v in self.variables if len(v.shape) >= 2)


@dataclasses.dataclass(frozen=True)
class LayerOrder:
    """The tracked layers in the order of their first call.

    Attributes:
        layers: The layers, first called first; what is never called stands last.
        notes: Sentences on what could not be determined, by layer name or "" for all.
    """

    layers: tuple[TrackedLayer, ...]
    notes: dict[str, str]


def check_trainable_model(model: keras.Model, optimizer: Any) -> None:
    """Refuses a model that cannot be tracked, in a sentence that says what to do.

    Args:
        model: The model to be trained.
        optimizer: What trains it; `None` for a model that is not compiled.

    Raises:
        ValueError: If there is no optimizer, the model is not built, or nothing trains.
    """
    if optimizer is None:
        raise ValueError(
            f"The model '{model.name}' is not compiled, so there is no optimizer to follow. "
            "Call `model.compile(optimizer, loss)` first."
        )
    check_built(model)
    if not model.trainable_variables:
        raise ValueError(
            f"The model '{model.name}' has no trainable variables: every layer is frozen or "
            "without parameters. Set `layer.trainable = True` on at least one layer and compile "
            "again."
        )


def check_built(model: keras.Model) -> None:
    """Refuses a model whose variables do not exist yet.

    Raises:
        ValueError: If the model is not built.
    """
    if not model.built or not model.variables:
        raise ValueError(
            f"The model '{model.name}' is not built: its variables do not exist yet. Call it on "
            "one batch, `model(x[:1])`, or `model.build(input_shape)`, or start a Sequential "
            "model with `keras.Input(shape)`, before training."
        )


def tracked_layers(model: keras.Model) -> LayerOrder:
    """Lists the layers that own trainable variables, in the order of their first call.

    The order comes from one symbolic call of the model, which computes no numbers and touches no
    weights. Where that call is not possible the layers keep Keras' order, and a note says so.

    Args:
        model: A built model.

    Returns:
        The layers and notes on what could not be determined.

    Example:
    >>> layers = [keras.layers.Dense(3, name="lin"), keras.layers.Dense(1, name="out")]
    >>> model = keras.Sequential([keras.Input((4,)), *layers])
    >>> [(layer.name, layer.role) for layer in tracked_layers(model).layers]
    [('lin', 'hidden'), ('out', 'head')]
    """
    check_built(model)
    owners = _owners(model)
    known = vars(model).get(_CACHE)
    if known is None or not _same_variables(known, owners):
        known = _ordered(model, owners)
        object.__setattr__(model, _CACHE, known)
    return known


def _same_variables(order: LayerOrder, owners: list[_Owner]) -> bool:
    known = {id(variable) for layer in order.layers for variable in layer.variables}
    return known == {id(variable) for owner in owners for variable in owner.variables}


def _ordered(model: keras.Model, owners: list[_Owner]) -> LayerOrder:
    notes: dict[str, str] = {}
    try:
        trace = trace_calls(model, _own_order(model))
    except Exception as error:  # any code may stand in a model's `call`
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reasons = [line for line in lines if not line.startswith("Exception encountered")]
        notes[""] = (
            "Layers stand in Keras' order, not in the order of their calls: the model could not "
            f"be called symbolically ({': '.join([type(error).__name__, *reasons[:1]])})."
        )
        trace = CallTrace()
        trace.order = [id(owner.layer) for owner in owners]
        heads = {id(owners[-1].layer)} if owners else set()
    else:
        heads = trace.heads({id(owner.layer) for owner in owners})
    rank = {identity: position for position, identity in enumerate(trace.order)}
    owners.sort(key=lambda owner: rank.get(id(owner.layer), len(rank)))
    layers = []
    names: set[str] = set()
    for owner in owners:
        name = _unique(owner.path, names)
        if id(owner.layer) not in rank:
            notes[name] = "The layer is never called by the model, so it stands last."
        layers.append(
            TrackedLayer(
                name=name,
                kind=type(owner.layer).__name__,
                role=_role(owner.layer, id(owner.layer) in heads),
                variables=tuple(owner.variables),
                layers=(owner.layer,),
            )
        )
    return LayerOrder(tuple(layers), notes)


def select_layers(layers: Sequence[TrackedLayer], selection: LayerSelection) -> list[TrackedLayer]:
    """Chooses or groups layers.

    Args:
        layers: The tracked layers of a model.
        selection: `None` for every layer; a sequence of names, each giving one row: a layer's
            exact name, or a prefix that reads all layers below it as one; or a function that
            takes a Keras layer and returns the name of its group, or `None` to leave it out.

    Returns:
        The rows, in the order of the call of their first layer.

    Raises:
        ValueError: If a name fits no layer, or nothing is left.
    """
    if selection is None:
        return list(layers)
    groups: dict[str, list[TrackedLayer]] = {}
    if callable(selection):
        for layer in layers:
            group = selection(layer.layers[0])
            if group is not None:
                groups.setdefault(str(group), []).append(layer)
    elif isinstance(selection, str):
        raise ValueError(f"`layers` takes a list of names. Did you mean layers=['{selection}']?")
    else:
        for name in selection:
            groups[name] = _matching(layers, name)
    if not groups:
        raise ValueError(f"`layers` leaves no layer to follow. The model has: {_listing(layers)}.")
    position = {id(layer): index for index, layer in enumerate(layers)}
    rows = [_group(name, members) for name, members in groups.items()]
    first = {name: min(position[id(m)] for m in members) for name, members in groups.items()}
    return sorted(rows, key=lambda row: first[row.name])


def _matching(layers: Sequence[TrackedLayer], name: str) -> list[TrackedLayer]:
    exact = [layer for layer in layers if layer.name == name]
    if exact:
        return exact
    below = [layer for layer in layers if layer.name.startswith(name.rstrip("/") + "/")]
    below = below or [layer for layer in layers if layer.name.startswith(name)]
    if not below or not name:
        nearest = difflib.get_close_matches(name, [layer.name for layer in layers], n=3)
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        raise ValueError(
            f"No layer is called '{name}', and no layer's name starts so.{hint} "
            f"The model has: {_listing(layers)}."
        )
    return below


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
        layers=tuple(layer for member in members for layer in member.layers),
    )


@dataclasses.dataclass
class _Owner:
    layer: keras.layers.Layer
    path: str
    variables: list[keras.Variable]


def _owners(model: keras.Model) -> list[_Owner]:
    """Finds the layers that own variables, each variable once, in Keras' order."""
    under_rnn: dict[int, keras.layers.Layer] = {}
    owners: dict[int, _Owner] = {}
    seen: set[int] = set()
    for layer in _own_order(model):
        if isinstance(layer, keras.layers.RNN):
            for cell in layer._flatten_layers(include_self=False):
                under_rnn[id(cell)] = layer
        reported = under_rnn.get(id(layer), layer)
        own = [v for v in layer._trainable_variables if id(v) not in seen and _is_float(v)]
        seen.update(id(v) for v in own)
        if not own:
            continue
        owner = owners.get(id(reported))
        if owner is None:
            owners[id(reported)] = _Owner(reported, _relative_path(model, reported), own)
        else:
            owner.variables.extend(own)
    return list(owners.values())


def _own_order(layer: keras.layers.Layer, seen: set[int] | None = None) -> Iterator[Any]:
    """Walks a layer and its sublayers depth first, in the order they were attached."""
    seen = set() if seen is None else seen
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield layer
    for child in layer._layers:
        yield from _own_order(child, seen)


def _relative_path(model: keras.Model, layer: keras.layers.Layer) -> str:
    path = getattr(layer, "path", None) or layer.name
    if layer is not model and path.startswith(f"{model.name}/"):
        return path[len(model.name) + 1 :]
    return path


def _unique(path: str, names: set[str]) -> str:
    name, count = path, 0
    while name in names:
        count += 1
        name = f"{path}_{count}"
    names.add(name)
    return name


def _role(layer: keras.layers.Layer, feeds_output: bool) -> str:
    kind = type(layer).__name__
    if "Normalization" in kind:
        return "normalization"
    if isinstance(layer, keras.layers.Embedding) or "Embedding" in kind:
        return "embedding"
    return "head" if feeds_output else "hidden"


def _is_float(variable: keras.Variable) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)


def _size(variable: keras.Variable) -> int:
    size = 1
    for dimension in variable.shape:
        size *= int(dimension)
    return size
