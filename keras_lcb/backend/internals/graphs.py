"""Private names of Functional models, which are graphs of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.models.functional import Functional, operation_fn


def operation_behind(
    tensor: keras.KerasTensor,
) -> tuple[keras.Operation, tuple[keras.KerasTensor, ...]]:
    """Returns the layer or operation that made a symbolic tensor, and the tensors it was given."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, tuple(node.input_tensors)


def graph_of(model: keras.Model) -> Functional | None:
    """Returns the model itself if it is Functional, or the one that a Sequential model holds."""
    graph = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    return graph if isinstance(graph, Functional) else None


def inputs_of(graph: Functional) -> Any:
    """Returns the symbolic inputs of a Functional model, in the structure that `call` expects."""
    return graph._inputs_struct


def steps_of_graph(graph: Functional) -> list[tuple[Any, list[Any], list[Any]]]:
    """Returns the operations of a Functional model in the order in which its `call` runs them.

    Returns:
        For each, the operation, the symbolic tensors that it takes, and those that it returns.
    """
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [
        (node.operation, list(node.input_tensors), list(node.outputs))
        for node in nodes
        if node.operation and not node.is_input
    ]


def outputs_of(graph: Functional) -> Any:
    """Returns the symbolic outputs of a Functional model, nested as its `call` returns them."""
    outputs = graph._outputs_struct
    single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
    return outputs[0] if single else outputs


def nodes_of(graph: Functional) -> list[Any]:
    """Returns the calls of operations that a Functional model is made of, each after its inputs."""
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def compute(nodes: Sequence[Any], known: dict[int, Any], training: bool | None) -> None:
    """Computes what calls of operations put out, as a Functional model does.

    Args:
        nodes: The calls, each after its inputs.
        known: Values by the `id` of the symbolic tensor; added to.
        training: Whether layers behave as in training.
    """
    for node in nodes:
        args, kwargs = node.arguments.fill_in(known)
        outputs = operation_fn(node.operation, training=training)(*args, **kwargs)
        for tensor, value in zip(node.outputs, keras.tree.flatten(outputs), strict=True):
            known[id(tensor)] = value


def calling(model: keras.Model, call: Callable[..., Any]) -> dict[str, Any]:
    """Returns attributes with which a model computes something else, of other inputs."""
    return {"call": call, "_manual_input_spec": None}
