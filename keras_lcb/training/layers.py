"""Which variable belongs to which layer, and in what order the layers are called.

A *layer* of a run is the layer object that directly owns variables which train when it is not
frozen. A shared layer counts once; the cells of a recurrent layer are reported under it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.training.call_trace import CallTrace, trace_calls
from keras_lcb.training.tree import Place, places

_CACHE = "_tracked_layers"  # a symbolic call is cheap, but not as cheap as none


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedLayer:
    """One row of a run: a layer, or a group of layers read as one.

    Attributes:
        name: The layer's path relative to the model, unique among the model's layers.
        kind: Class name of the layer; of a group, those of its members joined by "+".
        role: "hidden", "head" (feeds an output of the model), "normalization" or "embedding".
        variables: All variables that train when the layer is not frozen.
        weights: All weights that the layer owns, moving statistics included.
        layers: The Keras layers behind the row.
        inside: The places of the layers around it, outermost first, the model left out.
    """

    name: str
    kind: str
    role: str
    variables: tuple[keras.Variable, ...]
    weights: tuple[keras.Variable, ...] = ()
    layers: tuple[keras.Layer, ...] = ()
    inside: tuple[Place, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of scalars in `variables`."""
        return sum(int(np.prod(tuple(v.shape), dtype=np.int64)) for v in self.variables)

    @property
    def kernels(self) -> tuple[keras.Variable, ...]:
        """The variables of rank two and more: those that have a direction worth comparing."""
        return tuple(v for v in self.variables if len(v.shape) >= 2)

    @property
    def shape(self) -> str:
        """Shapes of the kernels as text, such as "(3, 3, 16, 32)"; several are joined by "+"."""
        return "+".join(str(tuple(map(int, v.shape))) for v in self.kernels)


@dataclasses.dataclass(frozen=True)
class LayerOrder:
    """The layers of a model in the order of their first call.

    Attributes:
        layers: Those that own variables which train; what is never called stands last.
        others: Those that own other weights only.
        notes: Sentences on what could not be determined, by layer name or "" for all.
    """

    layers: tuple[TrackedLayer, ...]
    others: tuple[TrackedLayer, ...]
    notes: dict[str, str]


def check_trainable_model(model: keras.Model) -> None:
    """Refuses a model that cannot be tracked, in a sentence that says what to do.

    Raises:
        ValueError: If the model has no variables yet, or none of them trains.
    """
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
        ValueError: If the model has no variables.
    """
    if not model.weights:
        raise ValueError(
            f"The model '{model.name}' is not built: its variables do not exist yet. Start a "
            "Sequential model with `keras.Input(shape)`, or call the model on one batch, "
            "`model(x[:1])`."
        )


def is_complete(model: keras.Model) -> bool:
    """Whether all variables of a model exist, so that `fit` will make no further ones.

    A wrapper without a `call` of its own is never built itself; its layers are what counts.
    """
    everything = [model, *internals.flattened(model)]
    built = all(layer.built or not internals.has_own_call(layer) for layer in everything)
    return built and bool(model.weights)


def tracked_layers(model: keras.Model) -> LayerOrder:
    """Lists the layers that own trainable variables, in the order of their first call.

    The order comes from one symbolic call of the model, which computes no numbers and touches no
    weights. Where that call is not possible the layers keep Keras' order, and a note says so.

    Args:
        model: A model whose variables exist.

    Returns:
        The layers and notes on what could not be determined.

    Raises:
        ValueError: If the model has no variables.

    Example:
    >>> layers = [keras.layers.Dense(3, name="lin"), keras.layers.Dense(1, name="out")]
    >>> model = keras.Sequential([keras.Input((4,)), *layers])
    >>> [(layer.name, layer.role) for layer in tracked_layers(model).layers]
    [('lin', 'hidden'), ('out', 'head')]
    """
    check_built(model)
    owners = _owners(model)
    known = internals.remembered(model, _CACHE)
    if known is None or not _same_weights(known, owners):
        known = _ordered(model, owners)
        internals.remember(model, _CACHE, known)
    return known


@dataclasses.dataclass
class _Owner:
    place: Place
    variables: list[keras.Variable]
    weights: list[keras.Variable]


def _owners(model: keras.Model) -> list[_Owner]:
    """Finds the layers that own weights, each weight once, in Keras' order."""
    everything = places(model)
    place_of = {id(place.layer): place for place in everything}
    under_rnn: dict[int, Place] = {}
    owners: dict[int, _Owner] = {}
    seen: set[int] = set()
    for place in everything:
        layer = place.layer
        if isinstance(layer, keras.layers.RNN):
            for cell in internals.flattened(layer):
                under_rnn[id(cell)] = place_of[id(layer)]
        weights = [v for v in internals.own_weights(layer) if id(v) not in seen]
        seen.update(id(v) for v in weights)
        if weights:
            reported = under_rnn.get(id(layer), place)
            owner = owners.setdefault(id(reported.layer), _Owner(reported, [], []))
            owner.weights.extend(weights)
            owner.variables.extend(v for v in weights if _trains_unfrozen(layer, v))
    return list(owners.values())


def _trains_unfrozen(layer: keras.Layer, variable: keras.Variable) -> bool:
    """Whether a variable trains when its layer is not frozen."""
    return (
        any(variable is own for own in internals.own_variables(layer))
        and keras.backend.is_float_dtype(variable.dtype)
        and not internals.is_overwritten_by_gradient(variable)
        and variable is not internals.base_of_lora(layer)
        and (variable.trainable or not layer.trainable)
    )


def _same_weights(order: LayerOrder, owners: list[_Owner]) -> bool:
    known = [*order.layers, *order.others]
    return {id(v) for layer in known for v in layer.variables} == {
        id(v) for owner in owners for v in owner.variables
    } and {id(v) for layer in known for v in layer.weights} == {
        id(v) for owner in owners for v in owner.weights
    }


def _ordered(model: keras.Model, owners: list[_Owner]) -> LayerOrder:
    trace, notes = _traced(model, owners)
    heads = trace.heads({id(owner.place.layer) for owner in owners if owner.variables})
    rank = {identity: position for position, identity in enumerate(trace.order)}
    owners.sort(key=lambda owner: rank.get(id(owner.place.layer), len(rank)))
    rows: list[TrackedLayer] = []
    names: set[str] = set()
    for owner in owners:
        layer = owner.place.layer
        name = _unique(owner.place.path or model.name, names)
        if id(layer) not in rank and owner.variables:
            notes[name] = "The layer is never called by the model, so it stands last."
        row = TrackedLayer(
            name=name,
            kind=type(layer).__name__,
            role=_role(layer, id(layer) in heads),
            variables=tuple(owner.variables),
            weights=tuple(owner.weights),
            layers=(layer,),
            inside=owner.place.inside,
        )
        rows.append(row)
    return LayerOrder(
        layers=tuple(row for row in rows if row.variables),
        others=tuple(row for row in rows if not row.variables),
        notes=notes,
    )


def _traced(model: keras.Model, owners: Sequence[_Owner]) -> tuple[CallTrace, dict[str, str]]:
    """Notes the order of the layers' calls, and a sentence where it is not that of the model."""
    everything = [place.layer for place in places(model)]
    if not internals.has_own_call(model):
        trace = CallTrace()
        for part in internals.sublayers(model):
            trace.join(_traced_or_listed(part, everything, owners)[0])
        return trace, {
            "": f"The model '{model.name}' has no `call`, so its parts stand in the order of its "
            "attributes, and the layers of each part in the order of their calls."
        }
    trace, reason = _traced_or_listed(model, everything, owners)
    if not reason:
        return trace, {}
    return trace, {
        "": "Layers stand in Keras' order, not in the order of their calls: the model could not "
        f"be called symbolically ({reason})."
    }


def _traced_or_listed(
    part: keras.Layer, everything: Sequence[keras.Layer], owners: Sequence[_Owner]
) -> tuple[CallTrace, str]:
    """Calls a model or a part of it symbolically; its layers in Keras' order where it cannot be."""
    try:
        return trace_calls(part, everything), ""
    except Exception as error:  # any code may stand in a model's `call`
        trace = CallTrace()
        inside = {id(layer) for layer in [part, *internals.flattened(part)]}
        trace.order = [id(o.place.layer) for o in owners if id(o.place.layer) in inside]
        return trace, plain_reason(error)


def plain_reason(error: Exception) -> str:
    """Returns the first line of an error that says something, without terminal colours."""
    text = internals.without_colours(str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith("Exception encountered")]
    return ": ".join([type(error).__name__, *reasons[:1]])


def _unique(path: str, names: set[str]) -> str:
    name, count = path, 0
    while name in names:
        count += 1
        name = f"{path}_{count}"
    names.add(name)
    return name


def _role(layer: keras.Layer, feeds_output: bool) -> str:
    kind = type(layer).__name__
    if "Normalization" in kind:
        return "normalization"
    if isinstance(layer, keras.layers.Embedding) or "Embedding" in kind:
        return "embedding"
    return "head" if feeds_output else "hidden"
