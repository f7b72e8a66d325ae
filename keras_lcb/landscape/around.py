"""The loss within a compiled function, added up over the chunks of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.landscape import ops
from keras_lcb.landscape.chunks import Cut, chunk
from keras_lcb.landscape.loss_scale import scaled, unscaled
from keras_lcb.landscape.samples import Batch

if TYPE_CHECKING:
    from keras_lcb.landscape.objective import Objective

Tensors = Sequence[Any]
Block = tuple[int, ...]  # places of some weights among all


class Around:
    """The loss as a function of the weights of one layer, for use inside a compiled function.

    `Objective.compiled` passes one to each function that it compiles. The other layers have the
    weights of the model.

    Args:
        objective: The loss.
        places: Places of the layer's weights among those that train.
        state: The weights of the model: those that train, and the others.
        data: The samples.
        factor: What the loss is multiplied by before it is differentiated, see `loss_scale`;
            `None` to leave it.
    """

    def __init__(
        self, objective: Objective, places: list[int], state: Any, data: Any, factor: Any = None
    ) -> None:
        self._objective = objective
        self._places = places
        self._state = state
        self._data = data
        self._factor = factor

    def loss(self, own: Tensors) -> Any:
        """Computes the loss, a scalar tensor of the weights' type."""
        zero = self._zero(own)
        return self.summed(lambda loss: [keras.ops.cast(loss(*own), zero.dtype)], [zero])[0]

    def gradients(self, own: Tensors) -> list[Any]:
        """Computes the gradient of the loss, a tensor for each weight."""
        return self.loss_and_gradients(own)[1]

    def loss_and_gradients(self, own: Tensors) -> tuple[Any, list[Any]]:
        """Computes the loss and its gradient, at little more than the cost of the gradient."""
        zeros = [self._zero(own), *map(keras.ops.zeros_like, own)]

        def of_chunk(loss: Callable[..., Any]) -> list[Any]:
            value, found = ops.value_and_gradients(scaled(loss, self._factor), own)
            value = unscaled(value, self._factor)
            return [keras.ops.cast(value, zeros[0].dtype), *self._unscaled(found)]

        value, *found = self.summed(of_chunk, zeros)
        return value, found

    def gradients_of_blocks(
        self, own: Tensors, blocks: Sequence[Block], moved: Sequence[Tensors]
    ) -> list[list[Any]]:
        """Computes the gradients of several blocks of weights, each at other weights of the block.

        While one block is elsewhere, the others are at `own`. The passes share what they can.

        Args:
            own: The weights.
            blocks: The places of the weights of each block.
            moved: Other weights for each block.

        Returns:
            For each block, a tensor for each of its weights.
        """

        def of_chunk(loss: Callable[..., Any]) -> list[Any]:
            loss = scaled(loss, self._factor)
            functions = [_moving(loss, own, block) for block in blocks]
            found = ops.gradients_in_turn(functions, moved)
            return [g for gradients in found for g in self._unscaled(gradients)]

        zeros = [keras.ops.zeros_like(weight) for block in moved for weight in block]
        found = iter(self.summed(of_chunk, zeros))
        return [[next(found) for _ in block] for block in blocks]

    def _unscaled(self, gradients: Tensors) -> list[Any]:
        return [unscaled(gradient, self._factor) for gradient in gradients]

    @staticmethod
    def _zero(own: Tensors) -> Any:
        return keras.ops.zeros((), own[0].dtype)

    def all_at_once(self) -> Callable[..., Any] | None:
        """Returns a function `loss(*own)` of all samples; `None` if they need several chunks."""
        objective = self._objective
        if objective.chunks > 1:
            return None
        return self._part(self._data[0], 1.0)

    def summed(self, function: Callable[[Callable[..., Any]], list[Any]], zeros: Tensors) -> Any:
        """Applies a function to the loss of each chunk, and adds up the results.

        Args:
            function: A function `function(loss)` that returns tensors. `loss(*own)` is the
                contribution of one chunk to the loss, a scalar that can be differentiated.
            zeros: Tensors of zeros, with the shapes and types of the function's results.

        Returns:
            The sum of the results over all chunks.
        """
        sums = None
        for part, sizes in zip(self._data, self._objective._cuts, strict=True):
            found = self._summed_over(part, sizes, function, zeros)
            sums = found if sums is None else _added(sums, found)
        return sums

    def _summed_over(
        self,
        part: Batch,
        sizes: Cut,
        function: Callable[[Callable[..., Any]], list[Any]],
        zeros: Tensors,
    ) -> list[Any]:
        size, whole = sizes.size, sizes.samples // sizes.size

        def of_chunk(start: Any, size: int) -> list[Any]:
            data = part if size == sizes.samples else chunk(part, start, size)
            return function(self._part(data, size / self._objective.samples))

        if whole == 1:
            sums = of_chunk(0, size)
        else:
            sums = ops.repeated(
                whole,
                lambda place, sums: _added(sums, of_chunk(place * size, size)),
                list(zeros),
            )
        rest = sizes.samples - whole * size
        return _added(sums, of_chunk(whole * size, rest)) if rest else sums

    def _part(self, data: Batch, share: float) -> Callable[..., Any]:
        """Returns the contribution of some samples to the loss, as a function of the weights.

        Args:
            data: The samples.
            share: Their number divided by the number of all samples.
        """
        trainable, others = self._state

        def loss(*own: Any) -> Any:
            moved = list(trainable)
            for place, weight in zip(self._places, own, strict=True):
                moved[place] = weight
            value = self._objective._loss(moved, others, data)
            return value if share == 1.0 else share * value

        return loss


def _moving(loss: Callable[..., Any], own: Tensors, block: Block) -> Callable[..., Any]:
    """Returns a loss as a function of one block of its weights."""

    def moving(*weights: Any) -> Any:
        moved = list(own)
        for place, weight in zip(block, weights, strict=True):
            moved[place] = weight
        return loss(*moved)

    return moving


def _added(sums: Tensors, found: Tensors) -> list[Any]:
    return [total + part for total, part in zip(sums, found, strict=True)]
