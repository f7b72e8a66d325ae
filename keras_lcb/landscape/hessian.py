"""Products of vectors with blocks of the Hessian, those of several blocks in one pass."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

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
        self._products = objective.compiled(_Program(blocks), together)
        self._nothing = [np.zeros(size, self.dtype) for size in self.sizes]

    def __call__(self, vectors: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
        """Multiplies.

        Args:
            vectors: A vector for each block; `None` for those to leave out.

        Returns:
            The products, `None` where there was no vector.
        """
        asked = np.array([vector is not None for vector in vectors])
        given = [
            nothing if vector is None else vector.astype(self.dtype)
            for vector, nothing in zip(vectors, self._nothing, strict=True)
        ]
        found = self._products(None, given, asked)
        return [
            keras.ops.convert_to_numpy(product) if wanted else None
            for product, wanted in zip(found, asked, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class _Program:
    """What is compiled; equal, so compiled once, for the same blocks."""

    blocks: tuple[tuple[int, ...], ...]

    def __call__(
        self, around: Around, own: Sequence[Any], vectors: Sequence[Any], asked: Any
    ) -> list[Any]:
        split = [
            _split(vector, [own[place] for place in block])
            for block, vector in zip(self.blocks, vectors, strict=True)
        ]

        def of_chunk(loss: Any) -> list[Any]:
            found = _module.block_products(loss, own, self.blocks, split, asked)
            return [
                _joined(products, vector) for products, vector in zip(found, vectors, strict=True)
            ]

        return around.summed(of_chunk, [keras.ops.zeros_like(vector) for vector in vectors])


def _split(vector: Any, weights: Sequence[Any]) -> list[Any]:
    parts, start = [], 0
    for weight in weights:
        size = math.prod(weight.shape)
        part = keras.ops.reshape(vector[start : start + size], weight.shape)
        parts.append(keras.ops.cast(part, weight.dtype))
        start += size
    return parts


def _joined(parts: Sequence[Any], vector: Any) -> Any:
    return keras.ops.concatenate(
        [keras.ops.cast(keras.ops.reshape(part, (-1,)), vector.dtype) for part in parts]
    )
