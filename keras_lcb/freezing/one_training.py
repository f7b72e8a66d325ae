"""Several `fit` calls that look like one training to the callbacks in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lcb.training.tap import tap_of


class OneTraining(keras.callbacks.Callback):
    """Hands on what happens in several `fit` calls, with one beginning and one end.

    Args:
        callbacks: Those that take part.
        is_stage_over: Tells of the number of epochs done whether a new stage begins there.
        finalize: What Keras does after the last epoch, before callbacks hear of the end.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        is_stage_over: Callable[[int], bool],
        finalize: Callable[[], None],
    ) -> None:
        super().__init__()
        self._inner = keras.callbacks.CallbackList(list(callbacks))
        self._is_stage_over, self._finalize = is_stage_over, finalize
        self._attached = self._begun = False
        self._open = contextlib.ExitStack()
        self.ended = False
        self.epoch = 0  # how many are done

    def set_model(self, model: keras.Model) -> None:
        """Attaches all callbacks, once."""
        super().set_model(model)
        if not self._attached:
            self._attached = True
            self._inner.set_model(model)

    def set_params(self, params: Any) -> None:
        """Hands on how long the training is."""
        super().set_params(params)
        self._inner.set_params(params)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins the training, or goes on with it."""
        self._advanced = False
        if not self._begun:
            self._begun = True
            self._inner.on_train_begin(logs)
            self._open.enter_context(tap_of(self._model).going_on())
        else:
            self._model._initial_epoch = None  # BackupAndRestore's, for the first `fit`

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the training after its last stage."""
        self.ended = self.ended or not self._advanced
        if self.ended:
            self._finalize()
            self._open.close()
            self._inner.on_train_end(logs)

    def close(self) -> None:
        """Lets go after a `fit` that failed."""
        self._open.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Hands on that an epoch begins."""
        self._inner.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the stage after its last epoch."""
        self._inner.on_epoch_end(epoch, logs)
        self._advanced, self.epoch = True, epoch + 1
        self.ended = bool(self._model.stop_training) or self.epoch >= self.params["epochs"]
        if not self.ended and self._is_stage_over(self.epoch):
            self._model.stop_training = True

    # Hooks of batches and of evaluation, which most callbacks do not have.

    def _implements_train_batch_hooks(self) -> bool:
        return any(each._implements_train_batch_hooks() for each in self._inner.callbacks)

    def _implements_test_batch_hooks(self) -> bool:
        return any(each._implements_test_batch_hooks() for each in self._inner.callbacks)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hands on that a batch begins."""
        self._inner.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hands on that a batch has ended."""
        self._inner.on_train_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Hands on that an evaluation begins."""
        self._inner.on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Hands on that an evaluation has ended."""
        self._inner.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hands on that a batch of an evaluation begins."""
        self._inner.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hands on that a batch of an evaluation has ended."""
        self._inner.on_test_batch_end(batch, logs)
