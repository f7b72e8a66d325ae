"""Products with blocks of the Hessian on torch: twice backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from keras_lcb.landscape.dialogue import Request


@torch.enable_grad()
def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """The gradient of each block, and a function that multiplies blocks with vectors."""
    weights = [weight.detach().requires_grad_() for weight in own]
    gradients = torch.autograd.grad(
        _twice_differentiable(loss, weights),
        weights,
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )

    def products(vectors: Sequence[Sequence[Any]], asked: Any) -> list[list[Any]]:
        return [
            _product(weights, gradients, block, vector)
            if wanted
            else [torch.zeros_like(part) for part in vector]
            for block, vector, wanted in zip(blocks, vectors, asked.tolist(), strict=True)
        ]

    detached = [[gradients[place].detach() for place in block] for block in blocks]
    return detached, products


def _product(
    weights: Sequence[Any], gradients: Sequence[Any], block: Sequence[int], vector: Sequence[Any]
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


def repeated(
    gradients: Callable[[], Any] | None,
    products: Callable[..., Any],
    request: Request,
    answer: Callable[..., Any],
) -> None:
    """Does what is asked, and what the host asks then."""
    vector, asked, wants_gradients, number = request
    device = vector.device
    while wants_gradients or asked.any():
        wanted = gradients if wants_gradients else None
        found = products(vector, asked) if wanted is None else wanted()
        further, still = answer(number, found.cpu().numpy())
        vector, asked = torch.as_tensor(further, device=device), torch.as_tensor(still)
        wants_gradients = False


def _twice_differentiable(loss: Callable[..., Any], weights: Sequence[Any]) -> Any:
    """The loss, made of operations that have a second derivative.

    Fused attention has none, nor have cuDNN's recurrent layers, where another pass does without
    cuDNN; its convolutions have one, and are faster than others.
    """
    with sdpa_kernel(SDPBackend.MATH):
        value = loss(*weights)
        if not _has_node(value, "CudnnRnnBackward"):
            return value
        kept = torch.backends.cudnn.enabled
        torch.backends.cudnn.enabled = False
        try:
            return loss(*weights)
        finally:
            torch.backends.cudnn.enabled = kept


def _has_node(value: Any, kind: str) -> bool:
    """Whether the graph behind a tensor has a node of this kind."""
    reached, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in reached:
            if node.name().startswith(kind):
                return True
            reached.add(node)
            left += [further for further, _ in node.next_functions]
    return False
