"""Which variables a training step writes to that TensorFlow has traced before.

Keras on TensorFlow goes on with a traced step when a layer is frozen or thawed without `compile`:
what trains is what trained when it was traced. Only the traced graph knows.
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
    """Returns the names of those nodes that hand on a variable which is written to.

    Args:
        nodes: The nodes of a graph or of a function in it.
        functions: All functions of the graph, by name.
        known: For functions, which of their arguments are written to; added to.
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
    """Returns the functions that a node calls, each with how many inputs are not its arguments."""
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
