"""When records are taken in `fit`."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.callbacks.backup import Backup
from keras_lcb.callbacks.kept_records import LOCK, KeptRecords, Record, outline
from keras_lcb.callbacks.mean_loss import number
from keras_lcb.callbacks.reported_loss import ReportedLoss
from keras_lcb.callbacks.unseen_updates import UnseenUpdates
from keras_lcb.training.layers import (
    TrackedLayer,
    check_trainable_model,
    is_complete,
    tracked_layers,
)
from keras_lcb.training.selection import LayerSelection, select_layers
from keras_lcb.training.tap import Tap, tap_of
from keras_lcb.training.update_count import UpdateCount


class RecordTiming(KeptRecords):
    """Decides when records are taken: before training and whenever one is due.

    `LoopTiming` adds the user's own loops, and `Recorder` defines what a record holds.

    Args:
        every: See `Recorder`.
        layers: See `Recorder`.
        backup: See `Recorder`.
        optimizer: See `Recorder`.
    """

    needs_weights = True

    def __init__(
        self,
        every: str | int = "epoch",
        layers: LayerSelection = None,
        backup: Any = None,
        optimizer: Any = None,
    ) -> None:
        super().__init__()
        self.every = _checked_every(every)
        self.layers = layers
        self.backup = backup
        self.optimizer = optimizer
        self._store: Backup | None = None  # set after `reset`, which would delete its records
        self.reset()
        if backup is not None:
            self._store = Backup(backup, type(self).__name__)

    # `Recorder` and its subclasses override these methods.

    def measure(self) -> Record:
        """Measures the followed layers as they are now.

        Returns:
            A dictionary of arrays by name. Each has the dimensions that `variables` declares.
        """
        raise TypeError(
            f"{type(self).__name__} does not define what it measures. Define its method `measure`."
        )

    def _checked_measure(self) -> Record:
        """Returns what `measure` returns, checked."""
        return self.measure()

    def attached(self) -> None:
        """Prepares the measurement, once the model's variables and the layers are known."""

    def _build_ahead(self) -> bool:
        """Builds the model, if records cannot wait for the first step; returns whether it did."""
        return False

    def _check_ahead(self, epoch: int) -> None:
        """Raises an error before training if the records cannot be taken."""

    def _forget_unrecorded(self) -> None:
        """Discards what was measured since the last record."""
        self._loss.forget()

    def reset(self) -> None:
        """Forgets everything recorded, on disk too, so that the next `fit` begins a new run."""
        if self._store is not None:
            self._store.clear()
        self._model: Any = None
        self._seed_in_force: int | None = None  # of Keras, when the model was attached
        self._tap: Tap | None = None
        self._records: list[Record] = []
        self._rows: list[TrackedLayer] = []
        self._notes: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._training = self._ended = self._begun = self._failed = False
        self._left = False  # whether another training has begun within this one
        self._interrupted = ""  # the warning to the user in that case
        self._updates = UpdateCount()
        self._loss = ReportedLoss()
        self._in_loop = False  # in the user's own loop, rather than in `fit`
        self._epochs = 0
        self._executions = 0  # calls of the compiled training step in this epoch
        self._epoch_began_at = 0  # the update
        self._validated = 0, math.nan  # the update of the last validation, and its loss
        self._unseen = UnseenUpdates()
        self._clock = time.perf_counter()  # the moment that counts as wall time 0
        self._kept_count: Any = None  # what the backup says on how updates are counted
        self._copied: Any = None  # in a copy: the run of the original callback

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model. A run that has begun can continue only with the same model.

        Raises:
            ValueError: If the model cannot be tracked, or the run belongs to another model.
        """
        name = type(self).__name__
        if self._copied is not None:
            raise ValueError(
                f"This {name} is a copy. It holds the run, but not the model on which the run was "
                f"recorded, so it cannot continue. Use a new {name}, or call `reset()` to discard "
                "that run."
            )
        if self._records and model is not self._model:
            raise ValueError(
                f"This {name} holds the run of the model '{self._model.name}' and cannot continue "
                f"with '{model.name}'. Use a new {name}, or call `reset()` to discard that run."
            )
        self._tap = tap_of(model)
        if not self._in_loop:
            self._tap.begin_training(force=False)  # the previous `fit` may have failed
        self._tap.follow(self.optimizer, in_fit=not self._in_loop)
        super().set_model(model)
        if self._seed_in_force is None:
            self._seed_in_force = internals.seed_in_force()
        # On JAX, `fit` has built the model by now: layers that are not built are never called.
        built_by_fit = keras.backend.backend() == "jax" and not self._in_loop
        if is_complete(model) or (built_by_fit and model.weights) or self._build_ahead():
            self._attach()

    def _attach(self) -> None:
        """Finds the layers of the model, whose variables must exist."""
        model = self._model
        check_trainable_model(model)
        if self._store is not None:
            self._store.writes = ops.is_chief(model)
        order = tracked_layers(model)
        rows = select_layers(order.layers, self.layers)
        if self._records and outline(rows) != outline(self._rows):
            raise ValueError(
                f"The layers of the model '{model.name}' or their parameters have changed since "
                f"this {type(self).__name__} began its run. Use a new {type(self).__name__}, or "
                "call `reset()` to discard that run."
            )
        self._rows = rows
        names = {"", *(row.name for row in rows)}
        self._notes = {key: note for key, note in order.notes.items() if key in names}
        self.attached()

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock, and joins the training step if that is needed."""
        self._failed = self._training  # the previous `fit` did not reach its end
        self._training, self._ended, self._begun, self._left = True, False, False, False
        self._loss.running = None
        self._start_clock()
        self._take_part()

    def _take_part(self) -> None:
        """Registers with the tap what this callback needs from the training step."""
        assert self._tap is not None
        self._follow_optimizers()
        if not self._rows:
            self._tap.before_first_update(self._attach_late, self._begin)
        if self._needs_steps():
            self._tap.on_leaving(self._leave)
        if self.every != "epoch":
            self._tap.after_execution(self._after_execution)
            self._tap.around_evaluation(self._before_evaluation, self._after_evaluation)
        if not self._rows or self.every != "epoch":
            self._tap.open()
        steps = (self.params or {}).get("steps")
        if not self._in_loop and (steps is None or internals.steps_are_given(self._model)):
            self._tap.data_may_run_out()

    def _needs_steps(self) -> bool:
        """Returns whether this callback needs the tap between two epochs."""
        return self.every != "epoch"

    def _leave(self) -> None:
        """Notes that this training is over, or that another one has begun within it."""
        self._left = True

    def _warn_of_interruption(self) -> None:
        """Warns, in an epoch of this training, that its steps are no longer measured."""
        if self._left and not self._interrupted:
            self._interrupted = (
                f"{type(self).__name__} does not see all updates, since `fit` or `train_on_batch` "
                "was called before this training had come to its end. It measures the steps of "
                "one `fit`. For a loop of your own, use `with lcb.track(model, callback):`."
            )
            warnings.warn(self._interrupted, stacklevel=3)

    def _follow_optimizers(self) -> None:
        """Sets whose updates count: the optimizers that all callbacks of this training follow."""
        assert self._tap is not None
        self._updates.follow(self._model, self._tap.optimizers)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        self._epochs = max(epoch, self._epochs)
        assert self._tap is not None
        if self._tap.is_open:
            self._tap.prepare()
        # Not in `on_train_begin`, where BackupAndRestore may still load other weights.
        if self._rows and not self._begun:
            self._begin()
        elif self._begun:
            self._look_for_setback(self._updates.now())
        self._loss.begin_epoch()
        self._executions = 0
        if self.every != "epoch" and self._begun:
            self._epoch_began_at = self._updates.at_execution(0)

    def on_test_begin(self, logs: Any = None) -> None:
        """Keeps how many samples the mean losses of this epoch are over."""
        if self._begun and not self._ended:
            self._loss.before_validation(self._model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes a record if one is due."""
        logs = logs or {}
        if not self._begun:
            self._begin_after_training()
        self._epochs += 1
        step = self._updates.now()
        self._loss.observe_epoch(self._model, logs.get("loss"), self._batches(step) or 1)
        self._keep_count()
        self._validated = step, number(logs.get("val_loss"))
        self._look_for_unseen()
        self._warn_of_interruption()
        steps = (self.params or {}).get("steps")
        self._look_for_setback(step, self._executed() or steps or math.inf)
        due = self.every == "epoch" or "val_loss" in logs or step >= self._due()
        if step > self._last_step() and due:
            self._take(step)
        elif step == self._last_step():  # already recorded
            record = self._records[-1]
            record |= {"epoch": self._epochs, "validation_loss": self._validated[1]}
            if len(self._records) > 1:  # batches that made no update may have followed
                record["loss"] = self._loss.take_more(record["loss"])
            self._keep(record)

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record."""
        if not self._begun and self._rows and self._store is not None:
            self._begin()  # all epochs were done before the process was killed
        if self._records:
            step = self._updates.now()
            if step > self._last_step():
                self._take(step)
        self._training, self._ended = False, True
        self._let_go()

    def _let_go(self) -> None:
        """Tells the tap that the training is over."""
        if self._tap is not None:
            self._tap.end_training()

    # Records.

    def _attach_late(self) -> None:
        """Attaches to a model whose variables were created by its first step."""
        self._attach()
        self._take_part_late()

    def _take_part_late(self) -> None:
        """Registers with the tap what this callback needs once the layers are known."""

    def _begin_after_training(self) -> None:
        """Begins the run too late, after training has begun, and warns.

        This happens if the first step builds the model and no followed optimizer is called.
        """
        self._attach()
        self._begin()
        warnings.warn(
            f"{type(self).__name__} could not begin before the first update: the first step built "
            f"the model '{self._model.name}', and none of the followed optimizers took part. "
            "Step 0 of the run is therefore the model as it is now, after some training. To "
            "record from the start, call the model on one batch, `model(x[:1])`, before training, "
            f"and pass its optimizers: {type(self).__name__}(optimizer=[...]).",
            stacklevel=2,
        )

    def _begin(self) -> None:
        """Finds the update count and takes the first record of this `fit`."""
        self._begun = True
        counted_anew = self._updates.begin()
        if counted_anew and self._store is not None and not self._records:
            self._resume(self._store)
        step = self._updates.now()
        if self._records and step < self._last_step():
            self._go_back_to(step)
        elif self._records and self._failed and self._undone(step):
            self._forget_unrecorded()
        self._check_ahead(self._epochs)
        if counted_anew:
            self._keep_count()
        if not self._records or step > self._last_step():
            self._take(step)
        self._unseen.begin(self._model, self._rows)

    def _undone(self, step: int) -> bool:
        """Returns whether the updates of a failed `fit` since the last record were undone."""
        return step == self._last_step()

    def _after_execution(self, logs: Any) -> None:
        """Takes a record if one is due.

        The update count is on the device. To avoid waiting, it is read only if a record may be due.
        """
        self._executions += 1
        self._loss.executed(logs)
        if not self._begun or not self._updates.may_have_reached(self._due(), self._executions):
            return
        step = self._updates.at_execution(self._executions)
        self._look_for_setback(step, self._executed())
        if step >= self._due():
            self._loss.observe_within(self._model, self._batches(step))
            self._take(step)

    def _before_evaluation(self) -> None:
        """Observes the loss before an evaluation sets the model's metrics to zero."""
        if self._begun and self._executions:
            self._loss.observe_within(self._model, self._batches(self._updates.now()))

    def _after_evaluation(self) -> None:
        """Leaves the samples of an evaluation within an epoch out of the mean loss."""
        if self._begun and self._executions:
            self._loss.after_evaluation(self._model)

    def _executed(self) -> int:
        """Returns how many batches of this epoch the executions so far had at most."""
        return self._executions * getattr(self._model, "steps_per_execution", 1)

    def _batches(self, step: int) -> int:
        """Returns how many batches of this epoch are done, as far as Keras and `step` tell.

        If the length of the data is not known, the last execution may have had fewer batches than
        the others. Then the updates tell how many there were.
        """
        at_once, done = getattr(self._model, "steps_per_execution", 1), self._executed()
        steps = (self.params or {}).get("steps")
        if steps:
            return min(done, steps)
        made = (step - self._epoch_began_at) * self._updates.steps_per_update
        fewer = at_once > 1 and len(self._updates.optimizers) == 1 and 0 < made < done
        return made if fewer else done

    def _due(self) -> int:
        every = 1 if self.every == "epoch" else int(self.every)
        return (self._last_step() // every + 1) * every

    def _take(self, step: int) -> None:
        if self.needs_weights:
            internals.sync_state(self._model)
        optimizers = self._updates.optimizers
        rates = [each.rates(self._rows) for each in optimizers]
        record = {
            "step": step,
            "epoch": self._epochs,
            "wall_time": time.perf_counter() - self._clock,
            "loss": self._loss.take(),
            "validation_loss": self._validated[1] if self._validated[0] == step else math.nan,
            "learning_rates": np.stack(rates),
            **self._checked_measure(),
        }
        with LOCK:
            self._records.append(record)
        self._keep(record)

    def _look_for_setback(self, step: int, batches: float = 0) -> None:
        """Drops the records of updates that a callback has undone since the last record.

        Args:
            step: The present update.
            batches: The most batches since then. All of them may have made updates anew.
        """
        if step < self._last_step():
            anew = batches / self._updates.steps_per_update
            epochs = self._epochs
            self._go_back_to(int(max(step - anew, min(step, 0))))
            self._epochs = epochs

    def _look_for_unseen(self) -> None:
        updates = self._updates.now() - self._records[0]["step"]
        kinds = [each.kind for each in self._updates.optimizers]
        self._unseen.look(self._model, self._rows, updates, kinds, type(self).__name__)


def _checked_every(every: Any) -> str | int:
    if isinstance(every, str) and every == "epoch":
        return every
    if isinstance(every, (int, np.integer)) and not isinstance(every, bool) and every >= 1:
        return int(every)
    raise ValueError(
        f"`every` must be 'epoch' or a number of updates, 1 or more; received {every!r}."
    )
