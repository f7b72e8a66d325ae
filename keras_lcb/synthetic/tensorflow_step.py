"""A training step with many updates, which makes the training of small networks faster.

It is for TensorFlow only. Keras' `steps_per_execution` requests each batch from the input pipeline.
For a small network, this takes a large part of the time of an update. Here, one element of the data
holds the batches of many updates.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_TOGETHER = 2


class LongStep(keras.Model):
    """A functional model whose training step receives many batches, and makes an update for each.

    The updates are the same as those of `keras.Model`. Callbacks see one long step, and metrics are
    means over all batches of the step.

    Args:
        model: The network, whose layers are shared with this model.

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
        """Makes one update for each batch of `data`.

        Args:
            data: A pair (x, y) of tensors with the shape (updates, batch, ...).
        """
        x, y = data
        one_update = super().train_step
        # An iteration of the loop ends only when all its operations are done, including those that
        # measure the update. Two updates in one iteration can overlap. More than two would
        # take longer to trace, because each update of an iteration is traced separately.
        together = 1 if x.shape[0] is None or x.shape[0] % _TOGETHER else _TOGETHER

        def body(place: Any) -> tuple[Any]:
            for offset in range(together):
                one_update((x[place + offset], y[place + offset]))
            return (place + together,)

        tf.while_loop(lambda place: place < tf.shape(x)[0], body, (tf.constant(0),))
        return self.get_metrics_result()


def blocks(x: np.ndarray, y: np.ndarray, order: Any) -> tf.data.Dataset:
    """Returns the training data for a `LongStep`.

    Args:
        x: Inputs, with one row for each sample.
        y: Targets, with one row for each sample.
        order: Indices of the samples in each update: (steps, updates in a step, batch size).
    """
    samples = tf.constant(x), tf.constant(y)
    rows = tf.data.Dataset.from_tensor_slices(np.asarray(order))
    return rows.map(lambda chosen: tuple(tf.gather(values, chosen) for values in samples))
