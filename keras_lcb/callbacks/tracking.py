"""`track`: callbacks for `train_on_batch` and hand-written training loops."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.callbacks.loop_timing import LoopTiming
from keras_lcb.training.layerwise_model import LayerwiseModel
from keras_lcb.training.tap import tap_of

if TYPE_CHECKING:
    from keras_lcb.callbacks.recorder import Recorder


class Tracker:
    """Takes records on request. Made by `track`.

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

    Inside the block, call `tracker.record()` whenever you want a record. The first record is taken
    on entering the block, and the last on leaving it. Define a compiled step (`tf.function`) inside
    the block: a step that was traced before does not measure anything. On TensorFlow and torch, the
    model may be built inside the block; then the first record is taken before the first update.

    Gradients are measured as the optimizer receives them. If a loop clips them itself, for example
    with `torch.nn.utils.clip_grad_norm_`, it is the clipped gradients that are recorded.

    Args:
        model: The model.
        *callbacks: Callbacks that record, such as `LayerConvergence` and `GradientNorms`. Their
            `every` has no effect here.
        optimizer: The Keras or `torch.optim` optimizer that trains the model, or a list of
            optimizers. Defaults to `None`: the optimizer that the model is compiled with, and
            others that are attributes of the model.

    Yields:
        A `Tracker`.

    Raises:
        ValueError: If the model cannot be tracked, no callback is given, or one does not record.

    Example:
    >>> import keras
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
        raise ValueError(
            "`track` received no callback. Pass at least one, for example LayerConvergence()."
        )
    for callback in callbacks:
        if not isinstance(callback, LoopTiming):
            raise ValueError(
                "`track` takes callbacks of keras_lcb that record, each as an argument of its own: "
                f"`track(model, LayerConvergence(), GradientNorms())`; received {callback!r}."
            )
    tap = tap_of(model)
    tap.close()  # a failed `fit` may have left it open
    if isinstance(model, LayerwiseModel) and model.compiled:
        model.make_train_function()  # so that the model takes part before the callbacks do
    try:
        for callback in callbacks:
            callback.track(model, optimizer)
        tap.hold()
        for callback in callbacks:
            callback.begin_tracking()
        yield Tracker(callbacks)
        for callback in callbacks:
            callback.on_train_end()
    finally:
        tap.close()
