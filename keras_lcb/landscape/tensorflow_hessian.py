"""Products with blocks of the Hessian on TensorFlow: one tape within another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def block_products(
    loss: Callable[..., Any],
    own: Sequence[Any],
    blocks: Sequence[Sequence[int]],
    vectors: Sequence[Sequence[Any]],
    asked: Any,
) -> list[list[Any]]:
    """Multiplies a vector with each block of the Hessian that is asked for.

    Args:
        loss: `loss(*own)`, a scalar.
        own: The weights.
        blocks: Which of the weights make up each block.
        vectors: For each block a tensor for each of its weights.
        asked: Booleans, one a block.

    Returns:
        For each block a tensor for each of its weights; zeros where it is not asked for.
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

    if len(blocks) == 1:
        return [product(blocks[0], vectors[0])]
    return [
        # Both branches are called while this is traced, before `block` and `vector` move on.
        tf.cond(
            asked[place],
            lambda block=block, vector=vector: product(block, vector),
            lambda vector=vector: [tf.zeros_like(part) for part in vector],
        )
        for place, (block, vector) in enumerate(zip(blocks, vectors, strict=True))
    ]
