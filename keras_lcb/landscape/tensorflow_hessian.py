"""Products with blocks of the Hessian on TensorFlow: nested gradient tapes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_lcb.backend import internals
from keras_lcb.landscape.host_search import Request


def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """Returns the gradient of each block, and a function that multiplies vectors by the blocks.

    The function multiplies all blocks if its argument `active` is `None`.
    """
    with contextlib.ExitStack() as recording:
        # A tape differentiates everything that it has recorded, also what does not depend on the
        # weights asked for. A tape for each block only records from the layer of the block on.
        tapes = [
            recording.enter_context(
                tf.GradientTape(persistent=True, watch_accessed_variables=False)
            )
            for _ in blocks
        ]
        for tape, block in zip(tapes, blocks, strict=True):
            tape.watch([own[place] for place in block])
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(own)
            with internals.replaced(tf.nn, {"moments": _moments}):
                value = loss(*own)
        found = inner.gradient(value, own, unconnected_gradients="zero")
        # Embeddings have sparse gradients; here all become dense.
        gradients = [tf.convert_to_tensor(gradient) for gradient in found]

    def product(tape: tf.GradientTape, block: Sequence[int], vector: Sequence[Any]) -> list[Any]:
        try:
            return tape.gradient(
                [gradients[place] for place in block],
                [own[place] for place in block],
                output_gradients=list(vector),
            )
        except LookupError as error:
            raise ValueError(
                f"TensorFlow cannot differentiate an operation of the model twice ({error}), as "
                "curvature needs. Compute it from other operations, such as x / (1 + abs(x)) in "
                "place of softsign, or use Keras on JAX or torch."
            ) from error

    multiply = [
        functools.partial(product, tape, block) for tape, block in zip(tapes, blocks, strict=True)
    ]

    def products(vectors: Sequence[Sequence[Any]], active: Any) -> list[list[Any]]:
        if active is None or len(blocks) == 1:
            return [
                _with_zeros(f(vector), vector) for f, vector in zip(multiply, vectors, strict=True)
            ]
        return [
            _if_active(active[place], f, vector)
            for place, (f, vector) in enumerate(zip(multiply, vectors, strict=True))
        ]

    return [[gradients[place] for place in block] for block in blocks], products


def _moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Any, Any]:
    """Returns mean and variance, as `tf.nn.moments` does, for normalization layers.

    In TensorFlow's own, the variance takes the mean for a constant. This leaves the first
    derivative as it is, and makes the second one wrong.
    """
    exact = tf.cast(x, tf.float32) if x.dtype == tf.float16 else x
    mean = tf.reduce_mean(exact, axes, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(exact, mean), axes, keepdims=keepdims)
    mean = mean if keepdims else tf.squeeze(mean, axes)
    return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


class _Stateful(Exception):
    """A product contains stateful operations, which TensorFlow executes in a fixed order."""


def _if_active(
    active: Any, product: Callable[[Sequence[Any]], list[Any]], vector: Sequence[Any]
) -> list[Any]:
    """Returns the product if the block is active. Otherwise returns the vector, without any work.

    `tf.cond` would pass every tensor that the product depends on through a switch. This takes long
    to compile, and in small layers also a good part of the run time. Here only the vector passes
    through a switch. TensorFlow does not execute operations whose input a switch has blocked.

    Raises:
        _Stateful: If the product contains stateful operations. Later stateful operations would
            wait for them forever if the block is not active.
    """
    if tf.executing_eagerly():
        return _with_zeros(product(vector), vector) if active else list(vector)
    graph = tf.compat.v1.get_default_graph()
    switches = [tf.raw_ops.Switch(data=part, pred=active) for part in vector]
    passed = [tf.identity(switch.output_true) for switch in switches]
    before = len(graph.get_operations())
    found = _with_zeros(product(passed), passed)
    if any(operation.op_def.is_stateful for operation in graph.get_operations()[before:]):
        raise _Stateful
    # `tf.zeros_like` does not need the values of the vector, and must be blocked, too.
    with tf.control_dependencies(passed):
        found = list(map(tf.identity, found))
    return [
        tf.raw_ops.Merge(inputs=[switch.output_false, made]).output
        for switch, made in zip(switches, found, strict=True)
    ]


def _with_zeros(found: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    """Returns dense tensors. A product is `None`, and here zero, if the loss is linear in a weight.

    Args:
        found: The product, a tensor or `None` for each weight.
        like: Tensors of the same shapes.
    """
    return [
        tf.zeros_like(part) if made is None else tf.convert_to_tensor(made)
        for made, part in zip(found, like, strict=True)
    ]


def run(
    gradients: Callable[[], Any] | None,
    products: Callable[..., Any],
    request: Request,
    resume: Callable[..., Any],
) -> None:
    """Computes requests in a loop of the graph, until the host has no further request."""
    current = request.vector, request.active
    types = [tensor.dtype for tensor in current]

    def next_request(results: Any) -> list[Any]:
        received = tf.numpy_function(resume, [request.search_id, results], types)
        return [tf.ensure_shape(new, old.shape) for new, old in zip(received, current, strict=True)]

    first = list(current)
    if gradients is not None:
        first = tf.cond(
            request.wants_gradients, lambda: next_request(gradients()), lambda: list(current)
        )

    def loop(all_blocks: bool) -> None:
        tf.while_loop(
            lambda vector, active: tf.reduce_any(active),
            lambda vector, active: next_request(products(vector, None if all_blocks else active)),
            first,
            parallel_iterations=1,
        )

    try:
        loop(all_blocks=False)
    except _Stateful:  # raised before TensorFlow has added the loop to the graph
        loop(all_blocks=True)
