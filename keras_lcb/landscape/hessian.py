"""Products of vectors with diagonal blocks of the Hessian, several blocks in one pass.

`BlockProducts` multiplies. Each backend has a module, such as `tensorflow_hessian`, with two
functions:

- `block_products(loss, own, blocks)` computes one forward and one backward pass, which all later
  products share. `loss(*own)` is a scalar, and `blocks` says which of the weights `own` belong to
  each block. It returns two things. The first is the gradient: a list for each block, with a tensor
  for each of its weights. The second is a function `products(vectors, active)`, which multiplies
  the vector of each active block by that block of the Hessian. Vectors and products have the
  structure of the gradient. Products of inactive blocks have no meaning.
- `run(gradients, products, request, resume)` computes what a `Request` asks for, and calls
  `resume(search_id, results)` of `host_search` for the next vectors, until no block is active. It
  then returns `None`. A backend that cannot call the host from a compiled program computes one
  request and returns the results. `gradients()` and `products(vector, active)` are as above, but
  join all blocks into one vector. `gradients` is `None` if the search does not ask for gradients.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.landscape.around import Around
from keras_lcb.landscape.host_search import HostSearch, Request, Search, Vectors, resume
from keras_lcb.landscape.loss_scale import scaled, unscaled
from keras_lcb.landscape.objective import Objective
from keras_lcb.training.layers import TrackedLayer

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_hessian")


class BlockProducts:
    """Multiplies vectors by the diagonal blocks of the Hessian that belong to layers.

    All blocks share one forward and one backward pass. The second differentiation, which each block
    needs for itself, ends at the layer of the block. TensorFlow and torch skip it for blocks
    without a vector.

    Args:
        objective: The loss.
        rows: The layers, or groups of layers, one for each block.

    Attributes:
        sizes: Number of parameters of each block.
        dtype: Type of the vectors: float64 if a weight has that type, otherwise float32.

    Example:
    >>> inputs = keras.Input((2,))
    >>> outputs = keras.layers.Dense(1, use_bias=False, name="line")(inputs)
    >>> model = keras.Model(inputs, outputs)
    >>> model.compile(loss="mse")
    >>> objective = Objective(model, np.array([[1.0, 0.0], [0.0, 2.0]]), np.zeros((2, 1)))
    >>> products = BlockProducts(objective, objective.layers)
    >>> products([np.array([1.0, 1.0])])[0].tolist()
    [1.0, 4.0]
    """

    def __init__(self, objective: Objective, rows: Sequence[TrackedLayer]) -> None:
        together, blocks = objective.joined(rows)
        own = together.variables
        shapes = [tuple(map(int, variable.shape)) for variable in own]
        self.sizes = [sum(math.prod(shapes[i]) for i in block) for block in blocks]
        types = {keras.backend.standardize_dtype(variable.dtype) for variable in own}
        self.dtype = np.dtype("float64" if "float64" in types else "float32")
        self._objective, self._blocks, self._together = objective, blocks, together

    def __call__(self, vectors: Vectors) -> Vectors:
        """Multiplies one vector for each block.

        Args:
            vectors: A vector for each block; `None` for a block to leave out.

        Returns:
            The product for each block; `None` for a block without a vector.
        """
        found: list[Vectors] = []

        def once() -> Search:
            found.append((yield vectors))

        self.answer(once())
        return found[0]

    def answer(self, search: Search) -> None:
        """Sends a search the products of the vectors that it yields, until it ends.

        The weights of the model must not change before the search ends: if all samples fit into
        one chunk, the shared forward and backward pass is computed only once, or a few times.

        Args:
            search: A generator that yields lists of vectors as `__call__` takes them, and
                receives the lists of products. If it first yields `None`, it receives the
                gradients. Exceptions of the search are raised unchanged.
        """
        factors = self._objective.loss_factors
        with HostSearch(search, self.sizes, self.dtype, factors) as running:
            # A program that can return gradients is slower, even when it does not return them.
            wants = running.request.wants_gradients
            kind = _Program(self._blocks, gradients=wants, scaled=bool(factors))
            while running.is_waiting:
                running.start_timer()
                results = self._objective.compiled(kind, self._together)(None, running.request)
                if results is not None:  # on a backend whose programs cannot call `resume`
                    running.receive(keras.ops.convert_to_numpy(results))
                    kind = dataclasses.replace(kind, gradients=running.request.wants_gradients)


@dataclasses.dataclass(frozen=True)
class _Program:
    """The function to compile. Programs with equal attributes are equal, and compiled only once.

    Attributes:
        blocks: Indices of the weights that belong to each block.
        gradients: Whether the search asks for gradients first.
        scaled: Whether to multiply the loss by the factor of the request.
    """

    blocks: tuple[tuple[int, ...], ...]
    gradients: bool
    scaled: bool = False

    def __call__(self, around: Around, own: Sequence[Any], request: Request) -> Any:
        zero = keras.ops.zeros_like(request.vector)
        at_once = around.all_at_once()
        factor = request.factor if self.scaled else None
        known = None if at_once is None else self._of_chunk(at_once, own, zero, factor)

        def gradients() -> Any:
            if known is not None:
                return known[0]
            return around.summed(lambda loss: [self._of_chunk(loss, own, zero, factor)[0]], [zero])[
                0
            ]

        def products(vector: Any, active: Any) -> Any:
            if known is not None:
                return known[1](vector, active)
            return around.summed(
                lambda loss: [self._of_chunk(loss, own, zero, factor)[1](vector, active)], [zero]
            )[0]

        return _module.run(gradients if self.gradients else None, products, request, resume)

    def _of_chunk(
        self, loss: Callable[..., Any], own: Sequence[Any], like: Any, factor: Any
    ) -> tuple[Any, Callable[..., Any]]:
        """Returns the gradient of all blocks as one vector, and a function for their products."""
        weights = [[own[place] for place in block] for block in self.blocks]
        gradients, multiply = _module.block_products(scaled(loss, factor), own, self.blocks)

        def products(vector: Any, active: Any) -> Any:
            return unscaled(_joined(multiply(_split(vector, weights), active), like), factor)

        return unscaled(_joined(gradients, like), factor), products


def _split(vector: Any, like: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Cuts one vector into tensors with the shapes and types of the weights of each block."""
    parts: list[list[Any]] = []
    start = 0
    for block in like:
        parts.append([])
        for weight in block:
            end = start + math.prod(weight.shape)
            part = keras.ops.reshape(vector[start:end], weight.shape)
            parts[-1].append(keras.ops.cast(part, weight.dtype))
            start = end
    return parts


def _joined(blocks: Sequence[Sequence[Any]], like: Any) -> Any:
    """Joins the tensors of all blocks into one vector of the type of `like`."""
    return keras.ops.concatenate(
        [
            keras.ops.cast(keras.ops.reshape(part, (-1,)), like.dtype)
            for block in blocks
            for part in block
        ]
    )
