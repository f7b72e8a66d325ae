"""Products of vectors with blocks of the Hessian, those of several blocks in one pass.

Each backend has a module with two functions:

- `block_products(loss, own, blocks)` passes forward and backward once for all products that
  follow. `loss(*own)` is a scalar, and `blocks` say which of the weights `own` make up each
  block. It returns the gradient, for each block a tensor for each of its weights, and
  `products(vectors, asked)`, which multiplies a vector with each block of the Hessian that is
  asked for. Vectors and products are like the gradient, zeros where none is asked for.
- `repeated(gradients, products, request, answer)` does what a `Request` asks for and goes on with
  what the host answers, as long as that asks for anything; it returns `None` then. Where a
  backend cannot go on, it returns what it has found. `gradients()` and `products(vector, asked)`
  are as above, with all blocks in one flat vector, and `gradients` is `None` where no search asks
  for them; `answer(number, found)` is that of `dialogue`.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.landscape.dialogue import Dialogue, Request, Search, Vectors, answer
from keras_lcb.landscape.objective import Around, Objective
from keras_lcb.training.layers import TrackedLayer

_module = importlib.import_module(f"keras_lcb.landscape.{keras.backend.backend()}_hessian")


class BlockProducts:
    """Multiplies vectors with the blocks that layers have on the diagonal of the Hessian.

    The blocks share one pass forward and one backward; what each adds to them goes no further
    down than its layer, and only those take time that have a vector.

    Args:
        objective: The loss.
        rows: The layers, or groups of them.

    Attributes:
        sizes: Number of parameters of each.
        dtype: Type of the vectors: that of the weights, or single precision if that is less.

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
        moving = {id(v) for row in rows for v in row.variables}
        own = [v for v in objective.whole.variables if id(v) in moving]
        place = {id(variable): index for index, variable in enumerate(own)}
        shapes = [tuple(map(int, variable.shape)) for variable in own]
        blocks = tuple(tuple(place[id(v)] for v in row.variables) for row in rows)
        self.sizes = [sum(math.prod(shapes[i]) for i in block) for block in blocks]
        types = {keras.backend.standardize_dtype(variable.dtype) for variable in own}
        self.dtype = np.dtype("float64" if "float64" in types else "float32")
        together = dataclasses.replace(objective.whole, variables=tuple(own))
        self._objective, self._blocks, self._together = objective, blocks, together

    def __call__(self, vectors: Vectors) -> Vectors:
        """Multiplies.

        Args:
            vectors: A vector for each block; `None` for those to leave out.

        Returns:
            The products, `None` where there was no vector.
        """
        found: list[Vectors] = []

        def once() -> Search:
            found.append((yield vectors))

        self.answer(once())
        return found[0]

    def answer(self, search: Search) -> None:
        """Sends a search the products of the vectors that it yields, until it ends.

        The weights must stay as they are meanwhile: the passes forward and backward that all
        products begin with are taken once, or seldom, where all samples are one chunk.

        Args:
            search: A generator of lists of vectors, as those of a call, which is sent the
                products. It may begin with `None`, and is then sent the gradients. What it
                raises comes through.
        """
        with Dialogue(search, self.sizes, self.dtype) as dialogue:
            # What a program can be asked for takes its time whether it is or not.
            kind = _Program(self._blocks, gradients=dialogue.request.wants_gradients)
            program = self._objective.compiled(kind, self._together)
            while dialogue.goes_on:
                dialogue.begin()
                found = program(None, dialogue.request)
                if found is not None:  # on a backend whose programs do not go on by themselves
                    dialogue.take(keras.ops.convert_to_numpy(found))


@dataclasses.dataclass(frozen=True)
class _Program:
    """What is compiled; equal, so compiled once, for the same blocks.

    Attributes:
        blocks: Which of the weights make up each.
        gradients: Whether a search may ask for them.
    """

    blocks: tuple[tuple[int, ...], ...]
    gradients: bool

    def __call__(self, around: Around, own: Sequence[Any], request: Request) -> Any:
        zero = keras.ops.zeros_like(request.vector)
        at_once = around.all_at_once()
        known = None if at_once is None else self._of_chunk(at_once, own, zero)

        def gradients() -> Any:
            if known is not None:
                return known[0]
            return around.summed(lambda loss: [self._of_chunk(loss, own, zero)[0]], [zero])[0]

        def products(vector: Any, asked: Any) -> Any:
            if known is not None:
                return known[1](vector, asked)
            return around.summed(
                lambda loss: [self._of_chunk(loss, own, zero)[1](vector, asked)], [zero]
            )[0]

        return _module.repeated(gradients if self.gradients else None, products, request, answer)

    def _of_chunk(
        self, loss: Callable[..., Any], own: Sequence[Any], like: Any
    ) -> tuple[Any, Callable[..., Any]]:
        """The gradient of all blocks, and products with them, each as one flat vector."""
        weights = [[own[place] for place in block] for block in self.blocks]
        gradients, multiply = _module.block_products(loss, own, self.blocks)

        def products(vector: Any, asked: Any) -> Any:
            return _joined(multiply(_split(vector, weights), asked), like)

        return _joined(gradients, like), products


def _split(vector: Any, like: Sequence[Sequence[Any]]) -> list[list[Any]]:
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
    return keras.ops.concatenate(
        [
            keras.ops.cast(keras.ops.reshape(part, (-1,)), like.dtype)
            for block in blocks
            for part in block
        ]
    )
