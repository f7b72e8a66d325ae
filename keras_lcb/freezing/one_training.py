"""Several calls of `fit` that look like one training to the callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lcb.training.tap import tap_of


class OneTraining(keras.callbacks.Callback):
    """Calls the hooks of other callbacks as if several calls of `fit` were a single one.

    The other callbacks see one start and one end of training.

    Args:
        callbacks: The other callbacks.
        is_stage_over: A function that takes the number of finished epochs and returns whether a
            new stage begins there.
        finalize: A function to call after the last epoch, before the callbacks' `on_train_end`.
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
        self.epoch = 0  # number of finished epochs

    def set_model(self, model: keras.Model) -> None:
        """Attaches all callbacks, once."""
        super().set_model(model)
        if not self._attached:
            self._attached = True
            self._inner.set_model(model)

    def set_params(self, params: Any) -> None:
        """Passes on the length of the training."""
        super().set_params(params)
        self._inner.set_params(params)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the training in the first `fit`, and continues it in later ones."""
        self._advanced = False
        if not self._begun:
            self._begun = True
            self._inner.on_train_begin(logs)
            self._open.enter_context(tap_of(self._model).going_on())
        else:
            self._model._initial_epoch = None  # set by BackupAndRestore for the first `fit`

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the training after its last stage."""
        self.ended = self.ended or not self._advanced
        if self.ended:
            self._finalize()
            self._open.close()
            self._inner.on_train_end(logs)

    def close(self) -> None:
        """Ends the tap's part in the training, also if a `fit` failed."""
        self._open.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Passes on that an epoch begins."""
        self._inner.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Passes on that an epoch has ended, and ends the stage after its last epoch."""
        self._inner.on_epoch_end(epoch, logs)
        self._advanced, self.epoch = True, epoch + 1
        self.ended = bool(self._model.stop_training) or self.epoch >= self.params["epochs"]
        if not self.ended and self._is_stage_over(self.epoch):
            self._model.stop_training = True

    # Hooks of batches and of evaluation.

    def _implements_train_batch_hooks(self) -> bool:
        return any(each._implements_train_batch_hooks() for each in self._inner.callbacks)

    def _implements_test_batch_hooks(self) -> bool:
        return any(each._implements_test_batch_hooks() for each in self._inner.callbacks)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Passes on that a batch begins."""
        self._inner.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes on that a batch has ended."""
        self._inner.on_train_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Passes on that an evaluation begins."""
        self._inner.on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Passes on that an evaluation has ended."""
        self._inner.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Passes on that a batch of an evaluation begins."""
        self._inner.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Passes on that a batch of an evaluation has ended."""
        self._inner.on_test_batch_end(batch, logs)
