"""Products with blocks of the Hessian on JAX: forward over reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


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
    return [
        _product(loss, own, block, list(vector), asked[place])
        for place, (block, vector) in enumerate(zip(blocks, vectors, strict=True))
    ]


def _product(
    loss: Callable[..., Any],
    own: Sequence[Any],
    block: Sequence[int],
    vector: list[Any],
    asked: Any,
) -> list[Any]:
    def of_block(*moved: Any) -> Any:
        weights = list(own)
        for place, weight in zip(block, moved, strict=True):
            weights[place] = weight
        return loss(*weights)

    gradient = jax.grad(of_block, argnums=tuple(range(len(block))))
    # Linearised outside of the condition, where XLA sees that all blocks share the same pass.
    _, product = jax.linearize(gradient, *(own[place] for place in block))
    return jax.lax.cond(
        asked,
        lambda vector: list(product(*vector)),
        lambda vector: [jnp.zeros_like(part) for part in vector],
        vector,
    )
