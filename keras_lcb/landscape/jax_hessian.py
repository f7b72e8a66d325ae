"""Products with blocks of the Hessian on JAX: forward-mode over reverse-mode differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from keras_lcb.landscape.host_search import Request


def block_products(
    loss: Callable[..., Any], own: Sequence[Any], blocks: Sequence[Sequence[int]]
) -> tuple[list[list[Any]], Callable[..., list[list[Any]]]]:
    """Returns the gradient of each block, and a function that multiplies vectors by the blocks.

    The function multiplies vectors of inactive blocks, too. To leave them out takes conditionals,
    and in these XLA computes convolutions many times slower on CPUs.
    """
    gradients, multiply = zip(*(_linearized(loss, own, block) for block in blocks), strict=True)

    def products(vectors: Sequence[Sequence[Any]], active: Any) -> list[list[Any]]:
        return [list(own(*vector)) for own, vector in zip(multiply, vectors, strict=True)]

    return [list(gradient) for gradient in gradients], products


def _linearized(
    loss: Callable[..., Any], own: Sequence[Any], block: Sequence[int]
) -> tuple[Sequence[Any], Callable[..., Any]]:
    """Returns the gradient of one block, and its derivative as a function of a direction."""

    def of_block(*moved: Any) -> Any:
        weights = list(own)
        for place, weight in zip(block, moved, strict=True):
            weights[place] = weight
        return loss(*weights)

    gradient = jax.grad(of_block, argnums=tuple(range(len(block))))
    return jax.linearize(gradient, *(own[place] for place in block))


def run(
    gradients: Callable[[], Any] | None,
    products: Callable[..., Any],
    request: Request,
    resume: Callable[..., Any],
) -> Any:
    """Computes what one request asks for, and returns it to the host.

    It does not call `resume`: calls from compiled loops to the host can hang on CPUs, see
    https://github.com/jax-ml/jax/issues/25861.
    """
    return products(request.vector, request.active) if gradients is None else gradients()
