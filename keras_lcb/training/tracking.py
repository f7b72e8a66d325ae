"""`track`: the callbacks for `train_on_batch` and hand-written loops, which take none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from keras_lcb.callbacks.recorder import Recorder


class Tracker:
    """Takes records when it is told to. Made by `track`.

    Args:
        callbacks: The callbacks that record.
    """

    def __init__(self, callbacks: Sequence[Recorder]) -> None:
        self.callbacks = list(callbacks)

    def record(self, loss: float | None = None, validation_loss: float | None = None) -> None:
        """Takes a record with every callback, unless no update was made since the last one.

        Args:
            loss: Training loss since the last record, if you have it.
            validation_loss: Validation loss now, if you have it.
        """
        for callback in self.callbacks:
            callback.take_record(loss, validation_loss)


@contextlib.contextmanager
def track(model: keras.Model, *callbacks: Recorder, optimizer: Any = None) -> Iterator[Tracker]:
    """Lets callbacks follow training that does not go through `fit`.

    Inside the block, call `tracker.record()` whenever a record is due; the first is taken on
    entry, the last on leaving. A compiled step (`tf.function`) must be made inside the block,
    since what it was traced with is what it runs.

    Args:
        model: A built model.
        *callbacks: `LayerConvergence` and `GradientNorms` objects; their `every` has no effect.
        optimizer: The Keras or `torch.optim` optimizer that trains the model. Defaults to the
            one that the model is compiled with.

    Yields:
        A `Tracker`.

    Raises:
        ValueError: If the model cannot be tracked, or no callback is given.

    Example:
    >>> import numpy as np
    >>> from keras_lcb import GradientNorms
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> gradients = GradientNorms()
    >>> with track(model, gradients) as tracker:
    ...     for _ in range(3):
    ...         loss = model.train_on_batch(np.ones((8, 2)), np.zeros((8, 1)))
    ...         tracker.record(loss=loss)
    >>> gradients.results.step.values.tolist()
    [0, 1, 2, 3]
    """
    if not callbacks:
        raise ValueError("`track` needs at least one callback, such as LayerConvergence().")
    optimizer = getattr(model, "optimizer", None) if optimizer is None else optimizer
    tap = None
    if keras.backend.backend() == "torch" and not isinstance(optimizer, keras.Optimizer):
        from keras_lcb.training.torch_tap import TorchOptimizerTap

        # It counts the steps, too, so every callback needs it.
        optimizer = tap = TorchOptimizerTap(model, optimizer)
    try:
        for callback in callbacks:
            callback.track(model, optimizer)
        if tap is not None:
            tap.hold()
        for callback in callbacks:
            callback.on_train_begin()
            callback.on_epoch_begin(0)
        yield Tracker(callbacks)
        for callback in callbacks:
            callback.on_train_end()
    finally:
        for callback in callbacks:
            callback.release()
        if tap is not None:
            tap.close()
