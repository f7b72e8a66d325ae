"""Takes records in training loops that do not call callbacks; see `keras_lcb.track`."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.callbacks.mean_loss import number
from keras_lcb.callbacks.record_timing import RecordTiming


class LoopTiming(RecordTiming):
    """Takes records in the user's own loops, besides `fit`."""

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained without `fit`."""
        self.optimizer = optimizer if optimizer is not None else self.optimizer
        self._in_loop = True
        try:
            self.set_model(model)
        finally:
            self._in_loop = False
        assert self._tap is not None
        if not self._rows:
            self._tap.before_first_update(self._attach_late, self._begin)

    def begin_tracking(self) -> None:
        """Takes the first record, once the tap is open."""
        self._failed = self._training
        self._training, self._ended, self._begun = True, False, False
        self._start_clock()
        self._follow_optimizers()
        if self._rows:
            self._begin()
        self._loss.begin_epoch()

    def take_record(self, loss: float | None = None, validation_loss: float | None = None) -> None:
        """Takes a record now, unless there was no update since the last one.

        Args:
            loss: Training loss since the last record, if known.
            validation_loss: Validation loss now, if known.
        """
        if not self._begun:
            self._begin_after_training()
        step = self._updates.now()
        if step > self._last_step():
            self._loss.begin_epoch()
            self._loss.observe(loss, 1)
            self._validated = step, number(validation_loss)
            self._take(step)
        else:
            self._look_for_unseen()
