"""Products with blocks of the Hessian on torch: a backward pass through a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from keras_lcb.landscape.host_search import Request


@torch.enable_grad()
def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """Returns the gradient of each block, and a function that multiplies vectors by the blocks."""
    weights = [weight.detach().requires_grad_() for weight in own]
    gradients = torch.autograd.grad(
        _twice_differentiable(loss, weights),
        weights,
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )

    def products(vectors: Sequence[Sequence[Any]], active: Any) -> list[list[Any]]:
        return [
            _product(weights, gradients, block, vector)
            if is_active
            else [torch.zeros_like(part) for part in vector]
            for block, vector, is_active in zip(blocks, vectors, active.tolist(), strict=True)
        ]

    detached = [[gradients[place].detach() for place in block] for block in blocks]
    return detached, products


def _product(
    weights: Sequence[Any], gradients: Sequence[Any], block: Sequence[int], vector: Sequence[Any]
) -> list[Any]:
    """Multiplies a vector by one block."""
    # The gradient of a weight that the loss depends on linearly is constant.
    curved = [i for i, place in enumerate(block) if gradients[place].requires_grad]
    if not curved:
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


def run(
    gradients: Callable[[], Any] | None,
    products: Callable[..., Any],
    request: Request,
    resume: Callable[..., Any],
) -> None:
    """Computes requests in a loop, until the host has no further request."""
    vector, active, wants_gradients, search_id, _ = request
    device = vector.device
    while wants_gradients or active.any():
        wanted = gradients if wants_gradients else None
        results = products(vector, active) if wanted is None else wanted()
        next_vector, next_active = resume(search_id, results.cpu().numpy())
        vector, active = torch.as_tensor(next_vector, device=device), torch.as_tensor(next_active)
        wants_gradients = False


def _twice_differentiable(loss: Callable[..., Any], weights: Sequence[Any]) -> Any:
    """Computes the loss with operations that have a second derivative.

    Fused attention has no second derivative, so it is switched off. cuDNN's recurrent layers have
    none either. If the model contains them, the loss is computed a second time without cuDNN.
    cuDNN stays on otherwise, since its convolutions can be differentiated twice and are faster.
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
    """Returns whether the graph that computed a tensor has a node of this kind."""
    reached, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in reached:
            if node.name().startswith(kind):
                return True
            reached.add(node)
            left += [source for source, _ in node.next_functions]
    return False
