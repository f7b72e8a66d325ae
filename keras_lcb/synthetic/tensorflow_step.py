"""A training step of many updates (TensorFlow): small networks train faster than batches arrive.

Keras' `steps_per_execution` asks the input pipeline for each batch, which takes as long as a
good part of so small an update. Here one element of the data holds the batches of many.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_TOGETHER = 2


class LongStep(keras.Model):
    """A functional model whose training step makes one update for each batch that it is given.

    Everything else is as in `keras.Model`, and the updates are the same: callbacks see one long
    step, and metrics are means over all of its batches.

    Args:
        model: The network; its layers are shared.

    Example:
        >>> model = LongStep(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
        >>> model.compile("sgd", "mse")
        >>> _ = model.fit(blocks(np.ones((4, 1)), np.ones((4, 1)), [[[0, 1], [2, 3]]]), verbose=0)
        >>> int(model.optimizer.iterations)
        2
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model.inputs, model.outputs, name=model.name)

    def train_step(self, data: Any) -> Any:
        """Makes one update for each batch of `data`, (x, y) of shape (updates, batch, ...)."""
        x, y = data
        one_update = super().train_step
        # A round of the loop ends when all of it is done, the norms of the last update, too. Within
        # a round the next update begins meanwhile; but each update of a round has to be traced.
        together = 1 if x.shape[0] is None or x.shape[0] % _TOGETHER else _TOGETHER

        def body(place: Any) -> tuple[Any]:
            for further in range(together):
                one_update((x[place + further], y[place + further]))
            return (place + together,)

        tf.while_loop(lambda place: place < tf.shape(x)[0], body, (tf.constant(0),))
        return self.get_metrics_result()


def blocks(x: np.ndarray, y: np.ndarray, order: Any) -> tf.data.Dataset:
    """Return data for a `LongStep`.

    Args:
        x: Inputs, one row a sample.
        y: What is to be learned.
        order: Which samples each update sees: (steps, updates a step, batch size).
    """
    samples = tf.constant(x), tf.constant(y)
    rows = tf.data.Dataset.from_tensor_slices(np.asarray(order))
    return rows.map(lambda chosen: tuple(tf.gather(values, chosen) for values in samples))
