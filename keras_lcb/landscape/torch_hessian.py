"""Products with blocks of the Hessian on torch: twice backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


@torch.enable_grad()
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
    wanted = asked.tolist()
    moving = sorted({p for block, w in zip(blocks, wanted, strict=True) if w for p in block})
    weights = [weight.detach() for weight in own]
    for place in moving:
        weights[place].requires_grad_()
    found = torch.autograd.grad(
        loss(*weights),
        [weights[place] for place in moving],
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    gradients = dict(zip(moving, found, strict=True))
    return [
        _product(weights, gradients, block, vector)
        if wanted[place]
        else [torch.zeros_like(part) for part in vector]
        for place, (block, vector) in enumerate(zip(blocks, vectors, strict=True))
    ]


def _product(
    weights: list[Any], gradients: dict[int, Any], block: Sequence[int], vector: Sequence[Any]
) -> list[Any]:
    curved = [i for i, place in enumerate(block) if gradients[place].requires_grad]
    if not curved:  # the loss is linear in these weights
        return [torch.zeros_like(part) for part in vector]
    return list(
        torch.autograd.grad(
            [gradients[block[i]] for i in curved],
            [weights[place] for place in block],
            grad_outputs=[vector[i] for i in curved],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    )
