"""Products with blocks of the Hessian on TensorFlow: one tape within another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_lcb.landscape.dialogue import Request


def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """The gradient of each block, and a function that multiplies blocks with vectors."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as outer:
        outer.watch(own)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(own)
            value = loss(*own)
        found = inner.gradient(value, own, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(gradient) for gradient in found]  # none stays sparse

    def product(block: Sequence[int], vector: Sequence[Any]) -> list[Any]:
        parts = outer.gradient(
            [gradients[place] for place in block],
            [own[place] for place in block],
            output_gradients=list(vector),
            unconnected_gradients="zero",
        )
        return [tf.convert_to_tensor(part) for part in parts]

    def products(vectors: Sequence[Sequence[Any]], asked: Any) -> list[list[Any]]:
        if len(blocks) == 1:
            return [product(blocks[0], vectors[0])]
        return [
            # Both branches are called while this is traced, before these names move on.
            tf.cond(
                asked[place],
                lambda block=block, vector=vector: product(block, vector),
                lambda vector=vector: [tf.zeros_like(part) for part in vector],
            )
            for place, (block, vector) in enumerate(zip(blocks, vectors, strict=True))
        ]

    return [[gradients[place] for place in block] for block in blocks], products


def repeated(
    gradients: Callable[[], list[Any]],
    products: Callable[..., list[Any]],
    request: Request,
    answer: Callable[..., Any],
) -> list[Any]:
    """Does what is asked, and what the host asks then, in a loop of the graph."""
    waiting = *request.vectors, request.asked
    types = [tensor.dtype for tensor in waiting]
    shapes = [tensor.shape for tensor in waiting]

    def told(found: Sequence[Any]) -> tuple[list[Any], Any]:
        answers = tf.numpy_function(answer, [request.number, *found], types)
        *vectors, asked = map(tf.ensure_shape, answers, shapes)
        return vectors, asked

    tf.while_loop(
        lambda vectors, asked: tf.reduce_any(asked),
        lambda vectors, asked: told(products(vectors, asked)),
        tf.cond(
            request.wants_gradients,
            lambda: told(gradients()),
            lambda: (list(request.vectors), request.asked),
        ),
        parallel_iterations=1,
    )
    return []
