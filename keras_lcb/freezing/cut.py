"""Cuts a network in two, so that the lower part need not be computed again in each epoch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_lcb.backend import internals


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where a network is cut into a lower and an upper part.

    Attributes:
        tensors: Symbolic tensors of the lower part (or inputs) that the upper part needs.
        above: The calls of operations in the upper part, each after those that make its inputs.
    """

    tensors: tuple[Any, ...]
    above: tuple[Any, ...]


def cut(model: keras.Model, *, if_all_were_frozen: bool = False) -> Cut | None:
    """Finds the part of a Functional or Sequential model that returns the same in each epoch.

    This lower part has the layers that do not train, are not random, and whose statistics do not
    change. Layers without weights at its upper end are left to the upper part, if fewer numbers
    need to be kept then.

    Args:
        model: The model.
        if_all_were_frozen: Whether to find the part that could be kept if all layers were frozen.

    Returns:
        The cut, or `None` if the lower part is empty.

    Raises:
        ValueError: If the model is neither Functional nor Sequential.
    """
    graph = internals.graph_of(model)
    if graph is None:
        raise ValueError(
            f"The model '{model.name}' is a subclass with its own `call`, which cannot be cut "
            "after the frozen layers. Leave out `cache`, or build a Functional model."
        )
    nodes = internals.nodes_of(graph)
    known = {id(tensor) for tensor in graph.inputs}
    below = []
    for node in nodes:
        ready = all(id(tensor) in known for tensor in node.input_tensors)
        if ready and _is_still(node.operation, if_all_were_frozen):
            below.append(node)
            known.update(id(tensor) for tensor in node.outputs)
    tensors = _with_fewer_tensors(below, nodes, graph)
    inputs = {id(tensor) for tensor in graph.inputs}
    if all(id(tensor) in inputs for tensor in tensors):
        return None
    members = {id(node) for node in below}
    return Cut(tuple(tensors), tuple(node for node in nodes if id(node) not in members))


def between(graph: Any, given: Sequence[Any], wanted: Sequence[Any]) -> list[Any]:
    """Returns the calls that compute some symbolic tensors from others, in an executable order."""
    maker = {id(tensor): node for node in internals.nodes_of(graph) for tensor in node.outputs}
    needed: set[int] = set()
    reached = {id(tensor) for tensor in given}
    queue = list(wanted)
    while queue:
        tensor = queue.pop()
        if id(tensor) not in reached:
            reached.add(id(tensor))
            node = maker[id(tensor)]
            needed.add(id(node))
            queue.extend(node.input_tensors)
    return [node for node in internals.nodes_of(graph) if id(node) in needed]


def _is_still(operation: Any, if_all_were_frozen: bool) -> bool:
    """Returns whether an operation computes the same from the same input in each epoch."""
    if not isinstance(operation, keras.Layer):
        return True
    inside = [operation, *internals.flattened(operation)]
    changes_loss = any(getattr(each, "activity_regularizer", None) for each in inside)
    makes_mask = any(
        isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False)
        for each in inside
    )
    moves = any(each.trainable and internals.own_weights(each) for each in inside)
    if internals.is_random(operation) or changes_loss or makes_mask:
        return False
    return if_all_were_frozen or not moves


def _with_fewer_tensors(below: list[Any], nodes: Sequence[Any], graph: Any) -> list[Any]:
    """Removes calls without weights from the lower part, if fewer numbers need to be kept then.

    Args:
        below: The calls of the lower part. The function removes calls from this list.
        nodes: All calls.
        graph: The Functional model.

    Returns:
        The tensors at the border of the two parts.
    """
    border = _border(below, nodes, graph)
    for node in reversed(list(below)):
        if not getattr(node.operation, "weights", ()):
            fewer = [each for each in below if each is not node]
            tensors = _border(fewer, nodes, graph)
            is_last = not any(_feeds(node, other) for other in fewer)
            if is_last and _size(tensors) < _size(border):
                below[:] = fewer
                border = tensors
    return border


def _border(below: Sequence[Any], nodes: Sequence[Any], graph: Any) -> list[Any]:
    """Returns the tensors of the lower part and the inputs that the upper part needs, once each."""
    members = {id(node) for node in below}
    made = {id(t): t for t in graph.inputs} | {id(t): t for node in below for t in node.outputs}
    above = [node for node in nodes if id(node) not in members]
    used = [*graph.outputs, *(tensor for node in above for tensor in node.input_tensors)]
    return list({id(tensor): tensor for tensor in used if id(tensor) in made}.values())


def _feeds(node: Any, other: Any) -> bool:
    outputs = {id(tensor) for tensor in node.outputs}
    return any(id(tensor) in outputs for tensor in other.input_tensors)


def _size(tensors: Iterable[Any]) -> int:
    """Returns how many numbers there are for a sample. An unknown dimension counts as 1."""
    return sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in tensors)
