"""Products with blocks of the Hessian on TensorFlow: one tape within another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Products = Callable[[Sequence[Sequence[Any]], Any], list[list[Any]]]


def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Products]:
    """Passes forward and backward, once for all products that follow.

    Args:
        loss: `loss(*own)`, a scalar.
        own: The weights.
        blocks: Which of the weights make up each block.

    Returns:
        The gradient, for each block a tensor for each of its weights; and `products(vectors,
        asked)`, which multiplies a vector with each block of the Hessian that is asked for.
        Vectors and products are like the gradient, zeros where none is asked for; `asked` are
        booleans, one a block.
    """
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
    products: Callable[[Sequence[Any], Any], list[Any]],
    vectors: Sequence[Any],
    asked: Any,
    wanted: Any,
    answer: Callable[..., tuple[Any, ...]],
    number: Any,
) -> list[Any]:
    """Multiplies, and again with what the host answers, as long as it asks for anything.

    Args:
        gradients: As `block_products` returns, flat: a function of nothing.
        products: As it returns, of flat vectors.
        vectors: The first vectors, one a block.
        asked: Which blocks they are for.
        wanted: Whether the host waits for the gradients first.
        answer: `answer(number, *products)` on the host, which returns vectors and what is asked.
        number: Which search this is.

    Returns:
        Nothing: the host has all products by then.
    """
    types = [*(vector.dtype for vector in vectors), asked.dtype]
    shapes = [*(vector.shape for vector in vectors), asked.shape]

    def told(found: Sequence[Any]) -> tuple[list[Any], Any]:
        answers = tf.numpy_function(answer, [number, *found], types)
        *further, still = map(tf.ensure_shape, answers, shapes)
        return further, still

    first = tf.cond(wanted, lambda: told(gradients()), lambda: (list(vectors), asked))
    tf.while_loop(
        lambda vectors, asked: tf.reduce_any(asked),
        lambda vectors, asked: told(products(vectors, asked)),
        first,
        parallel_iterations=1,
    )
    return []
