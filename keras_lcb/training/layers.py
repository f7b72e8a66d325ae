"""Which variable belongs to which layer, and in what order the layers are called.

A *layer* of a run is a Keras layer that itself owns variables which are trained unless the layer
is frozen. A layer that is used several times counts once. The cells of a recurrent layer count as
parts of that layer. Its name is its path in the model, which `tree.places` makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.training.call_trace import CallTrace, read_graph, trace_calls
from keras_lcb.training.tree import Place, places

_CACHE = "_tracked_layers"  # saves the symbolic call of the model


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedLayer:
    """One row of a run: a layer, or a group of layers that is measured as one.

    Attributes:
        name: The layer's path within the model, unique among the model's layers.
        kind: Class name of the layer; for a group, the class names of its members joined by "+".
        role: "hidden", "head" (computes an output of the model), "normalization" or "embedding".
        variables: All variables that are trained unless the layer is frozen.
        weights: All weights that the layer owns, moving statistics included.
        layers: The Keras layers that the row stands for.
        inside: The places of the layers that contain it, outermost first, without the model.
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
        """The variables of rank two or more, whose directions are compared."""
        return tuple(v for v in self.variables if len(v.shape) >= 2)

    @property
    def shape(self) -> str:
        """The shapes of the kernels as text, such as "(3, 3, 16, 32)", joined by "+"."""
        return "+".join(str(tuple(map(int, v.shape))) for v in self.kernels)


@dataclasses.dataclass(frozen=True)
class LayerOrder:
    """The layers of a model in the order of their first call.

    Attributes:
        layers: The layers that own trainable variables. Layers that are never called come last.
        others: The layers that own other weights only.
        notes: Sentences about what could not be determined, by layer name; "" for all layers.
    """

    layers: tuple[TrackedLayer, ...]
    others: tuple[TrackedLayer, ...]
    notes: dict[str, str]


def check_trainable_model(model: keras.Model) -> None:
    """Checks that a model has variables to train.

    Raises:
        ValueError: If the model has no variables yet, or none of them is trainable.
    """
    check_built(model)
    if not model.trainable_variables:
        raise ValueError(
            f"The model '{model.name}' has no trainable variables: all its layers are frozen or "
            "have no parameters. Set `layer.trainable = True` on at least one layer, and compile "
            "the model again."
        )


def check_built(model: keras.Model) -> None:
    """Checks that the variables of a model exist.

    Raises:
        ValueError: If it is no Keras model, or has no variables.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected a Keras model, but received {model!r}.")
    if not model.weights:
        raise ValueError(
            f"The model '{model.name}' is not built: its variables do not exist yet. Start a "
            "Sequential model with `keras.Input(shape)`, or call the model on one batch, "
            "`model(x[:1])`."
        )


def build_all(model: keras.Model, batch: Any) -> None:
    """Builds a model for a batch.

    Raises:
        ValueError: If the model has layers that its `call` does not build.
    """
    internals.build_layers(model, batch)
    if not is_complete(model):
        raise ValueError(
            f"The model '{model.name}' has layers that its `call` does not build, so their steps "
            "cannot be scaled. Build these layers before training."
        )


def is_complete(model: keras.Model) -> bool:
    """Returns whether all variables of a model exist, so that `fit` will create no others.

    A model without a `call` of its own is never marked as built, so only its layers are checked.
    """
    return not unbuilt(model) and bool(model.weights)


def unbuilt(model: keras.Model) -> list[str]:
    """Returns the names of layers whose variables may not exist yet."""
    everything = [model, *internals.flattened(model)]
    return [layer.name for layer in everything if not layer.built and internals.has_own_call(layer)]


def tracked_layers(model: keras.Model) -> LayerOrder:
    """Lists the layers that own trainable variables, in the order of their first call.

    The order comes from one symbolic call of the model, which computes no numbers and leaves the
    weights as they are. If that call is not possible, the layers keep Keras' order, and a note says
    so. The result is cached on the model.

    Args:
        model: A model whose variables exist.

    Returns:
        The layers, and notes about what could not be determined.

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
    """Returns whether a variable is trained unless its layer is frozen."""
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


def _own_name(model: keras.Model) -> str:
    """Returns the name of the row for weights that a model owns itself, without its layers.

    An automatic name of the model ends in a number that changes with each copy, so it is left out.
    """
    automatic = internals.has_automatic_name(model)
    return internals.automatic_stem(model) if automatic else model.name


def _ordered(model: keras.Model, owners: list[_Owner]) -> LayerOrder:
    trace, notes = _traced(model, owners)
    heads = trace.heads({id(owner.place.layer) for owner in owners if owner.variables})
    rank = {identity: position for position, identity in enumerate(trace.order)}
    owners.sort(key=lambda owner: rank.get(id(owner.place.layer), len(rank)))
    rows: list[TrackedLayer] = []
    names: set[str] = set()
    for owner in owners:
        layer = owner.place.layer
        name = _unique(owner.place.path or _own_name(model), names)
        if id(layer) not in rank and owner.variables:
            notes[name] = "The model never calls this layer, so the layer is listed last."
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
    """Returns the order of the layers' calls, and a note if it could not be determined."""
    everything = [place.layer for place in places(model)]
    if not internals.has_own_call(model):
        trace = CallTrace()
        for part in internals.sublayers(model):
            trace.join(_traced_or_listed(part, everything, owners)[0])
        return trace, {
            "": f"The model '{model.name}' has no `call`. Its parts are listed in the order of its "
            "attributes, and the layers of each part in the order of their calls."
        }
    trace, reason = _traced_or_listed(model, everything, owners)
    if not reason:
        return trace, {}
    return trace, {
        "": "Layers are listed in Keras' order, not in the order of their calls, because the "
        f"model could not be called symbolically ({reason})."
    }


def _traced_or_listed(
    part: keras.Layer, everything: Sequence[keras.Layer], owners: Sequence[_Owner]
) -> tuple[CallTrace, str]:
    """Traces a symbolic call of a model or a part of it.

    Returns:
        The trace and "". If the call fails, a trace in Keras' order, and the reason.
    """
    try:
        return read_graph(part) or trace_calls(part, everything), ""
    except Exception as error:  # the model's `call` is the user's code and may raise anything
        trace = CallTrace()
        inside = {id(layer) for layer in [part, *internals.flattened(part)]}
        trace.order = [id(o.place.layer) for o in owners if id(o.place.layer) in inside]
        return trace, plain_reason(error)


def plain_reason(error: Exception) -> str:
    """Returns the first informative line of an error message, without terminal colours."""
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
