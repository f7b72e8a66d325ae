"""Which variables a training step changes that TensorFlow has already traced.

If a layer is frozen or unfrozen without `compile`, Keras on TensorFlow keeps using the traced step,
which trains the variables that were trainable when it was traced. Only the graph tells which.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_lcb.backend import internals

_WRITING = ("Assign", "ResourceApply", "ResourceScatter", "ResourceSparseApply")


def variables_written(train_function: Any) -> set[int] | None:
    """Returns the `id` of each `tf.Variable` that a training function of Keras writes to.

    Args:
        train_function: `model.train_function`, as Keras makes it on TensorFlow.

    Returns:
        The variables, or `None` if the function has not been traced.
    """
    traced = internals.traced_functions(train_function)
    if not traced:
        return None
    written: set[int] = set()
    for concrete in traced:
        graph = concrete.graph.as_graph_def()
        functions = {each.signature.name: each for each in graph.library.function}
        names = _written_inputs(graph.node, functions, {})
        handles = {
            inside.op.name: outside
            for outside, inside in concrete.graph.captures
            if inside is not None
        }
        kept = {id(handle) for name, handle in handles.items() if name in names}
        written |= {id(v) for v in concrete.graph.variables if id(v.handle) in kept}
    return written


def _written_inputs(
    nodes: Iterable[Any], functions: dict[str, Any], known: dict[str, set[int]]
) -> set[str]:
    """Returns the names of the nodes that represent variables to which something is written.

    Args:
        nodes: The nodes of a graph, or of a function in it.
        functions: All functions of the graph, by name.
        known: A cache of `_written_arguments`, by function.
    """
    names: set[str] = set()
    for node in nodes:
        inputs = [name.split(":")[0].lstrip("^") for name in node.input]
        if node.op.startswith(_WRITING) and inputs:
            names.add(inputs[0])
        for called, skipped in _called_by(node):
            for argument in _written_arguments(called, functions, known):
                names.add(inputs[skipped + argument])
    return names


def _called_by(node: Any) -> list[tuple[str, int]]:
    """Returns the functions that a node calls.

    Each comes with the number of the node's first inputs that are not passed to the function.
    """
    if node.op in ("If", "StatelessIf"):
        return [(node.attr[branch].func.name, 1) for branch in ("then_branch", "else_branch")]
    if node.op == "Case":
        return [(branch.name, 1) for branch in node.attr["branches"].list.func]
    if node.op in ("While", "StatelessWhile"):
        return [(node.attr["body"].func.name, 0)]
    if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
        return [(node.attr["f"].func.name, 0)]
    return []


def _written_arguments(
    name: str, functions: dict[str, Any], known: dict[str, set[int]]
) -> set[int]:
    if name not in known:
        known[name] = set()
        function = functions[name]
        written = _written_inputs(function.node_def, functions, known)
        arguments = [argument.name for argument in function.signature.input_arg]
        known[name] = {at for at, argument in enumerate(arguments) if argument in written}
    return known[name]
