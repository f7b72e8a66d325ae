"""Products with blocks of the Hessian on JAX: forward over reverse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

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
    # Linearised outside of the conditions, where XLA sees that all blocks share the same pass.
    gradients, multiply = zip(*(_linearized(loss, own, block) for block in blocks), strict=True)

    def products(vectors: Sequence[Sequence[Any]], asked: Any) -> list[list[Any]]:
        return [
            jax.lax.cond(
                asked[place],
                lambda vector, place=place: list(multiply[place](*vector)),
                lambda vector: [jnp.zeros_like(part) for part in vector],
                list(vector),
            )
            for place, vector in enumerate(vectors)
        ]

    return [list(gradient) for gradient in gradients], products


def _linearized(
    loss: Callable[..., Any], own: Sequence[Any], block: Sequence[int]
) -> tuple[Sequence[Any], Callable[..., Any]]:
    def of_block(*moved: Any) -> Any:
        weights = list(own)
        for place, weight in zip(block, moved, strict=True):
            weights[place] = weight
        return loss(*weights)

    gradient = jax.grad(of_block, argnums=tuple(range(len(block))))
    return jax.linearize(gradient, *(own[place] for place in block))


def repeated(
    gradients: Callable[[], list[Any]],
    products: Callable[[Sequence[Any], Any], list[Any]],
    vectors: Sequence[Any],
    asked: Any,
    wanted: Any,
    answer: Callable[..., tuple[Any, ...]],
    number: Any,
) -> list[Any]:
    """Multiplies once: a callback out of a compiled loop can wait for ever on JAX' processor.

    Args:
        gradients: As `block_products` returns, flat: a function of nothing.
        products: As it returns, of flat vectors.
        vectors: One a block.
        asked: Which blocks they are for.
        wanted: Whether the host waits for the gradients first.
        answer: Not called.
        number: Not used.

    Returns:
        The products, or the gradients.
    """
    return jax.lax.cond(wanted, gradients, lambda: products(vectors, asked))
