"""Products with blocks of the Hessian on TensorFlow: one tape within another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_lcb.landscape.dialogue import Request


def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """The gradient of each block, and a function that multiplies blocks with vectors.

    It multiplies all of them where `asked` is `None`.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        outer.watch(own)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(own)
            value = loss(*own)
        found = inner.gradient(value, own, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(gradient) for gradient in found]  # none stays sparse

    def product(block: Sequence[int], vector: Sequence[Any]) -> list[Any]:
        return outer.gradient(
            [gradients[place] for place in block],
            [own[place] for place in block],
            output_gradients=list(vector),
        )

    def products(vectors: Sequence[Sequence[Any]], asked: Any) -> list[list[Any]]:
        found = [functools.partial(product, block) for block in blocks]
        if asked is None or len(blocks) == 1:
            return [
                _with_zeros(f(vector), vector) for f, vector in zip(found, vectors, strict=True)
            ]
        return [
            _if_asked(asked[place], f, vector)
            for place, (f, vector) in enumerate(zip(found, vectors, strict=True))
        ]

    return [[gradients[place] for place in block] for block in blocks], products


class _Stateful(Exception):
    """A product has operations which TensorFlow keeps in order with others of their kind."""


def _if_asked(
    asked: Any, product: Callable[[Sequence[Any]], list[Any]], vector: Sequence[Any]
) -> list[Any]:
    """The product, or the vector as it is, with no work done.

    A branch of `tf.cond` would hand in all that a product is made of through switches, which
    takes long to compile, and in small layers a good part of the time. Here only the vector goes
    through them: what is made of it is not computed where it does not come.

    Raises:
        _Stateful: If others would wait for what is not computed.
    """
    if tf.executing_eagerly():
        return _with_zeros(product(vector), vector) if asked else list(vector)
    graph = tf.compat.v1.get_default_graph()
    switches = [tf.raw_ops.Switch(data=part, pred=asked) for part in vector]
    passed = [tf.identity(switch.output_true) for switch in switches]
    before = len(graph.get_operations())
    found = _with_zeros(product(passed), passed)
    if any(operation.op_def.is_stateful for operation in graph.get_operations()[before:]):
        raise _Stateful
    with tf.control_dependencies(passed):  # zeros, too, come only where they are asked for
        found = list(map(tf.identity, found))
    return [
        tf.raw_ops.Merge(inputs=[switch.output_false, made]).output
        for switch, made in zip(switches, found, strict=True)
    ]


def _with_zeros(found: Sequence[Any], like: Sequence[Any]) -> list[Any]:
    """Tensors; zeros where the loss is linear in a weight."""
    return [
        tf.zeros_like(part) if made is None else tf.convert_to_tensor(made)
        for made, part in zip(found, like, strict=True)
    ]


def repeated(
    gradients: Callable[[], Any] | None,
    products: Callable[..., Any],
    request: Request,
    answer: Callable[..., Any],
) -> None:
    """Does what is asked, and what the host asks then, in a loop of the graph."""
    waiting = request.vector, request.asked
    types = [tensor.dtype for tensor in waiting]

    def told(found: Any) -> list[Any]:
        answers = tf.numpy_function(answer, [request.number, found], types)
        return [
            tf.ensure_shape(a, tensor.shape) for a, tensor in zip(answers, waiting, strict=True)
        ]

    first = list(waiting)
    if gradients is not None:
        first = tf.cond(request.wants_gradients, lambda: told(gradients()), lambda: list(waiting))

    def loop(of_all: bool) -> None:
        tf.while_loop(
            lambda vector, asked: tf.reduce_any(asked),
            lambda vector, asked: told(products(vector, None if of_all else asked)),
            first,
            parallel_iterations=1,
        )

    try:
        loop(of_all=False)
    except _Stateful:  # nothing of that loop is in the graph
        loop(of_all=True)
