"""What the recording callbacks share: when a record is due, and what stands beside it."""

from __future__ import annotations

import importlib.metadata
import math
import threading
import time
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.backup import Backup
from keras_lcb.callbacks.mean_loss import MeanLoss, number
from keras_lcb.callbacks.update_count import UpdateCount, inner
from keras_lcb.runs import schema
from keras_lcb.training import ops
from keras_lcb.training.layers import (
    LayerSelection,
    TrackedLayer,
    check_trainable_model,
    select_layers,
    tracked_layers,
)

Record = dict[str, Any]

# Results may be read from another thread. The lock is the module's, since objects that hold one
# cannot be copied, as tuners do with callbacks.
LOCK = threading.RLock()


class Recorder(keras.callbacks.Callback):
    """A callback that takes a record before training and whenever one is due.

    Several `fit` calls on one model go on with one run. Subclasses say what they measure
    (`_measure`) and how a run shows it (`_variables`, `_attributes`).

    Args:
        every: "epoch", or a number of updates.
        layers: Which layers to follow, see `keras_lcb.training.layers.select_layers`.
        backup: A folder that keeps the record, or `None`.
    """

    def __init__(self, every: str | int, layers: LayerSelection, backup: Any) -> None:
        super().__init__()
        self.every = _checked_every(every)
        self.layers = layers
        self.backup = backup
        self._store: Backup | None = None  # none yet, for `reset` empties it
        if self._needs_batches():
            # Only now is there a batch hook: an empty one would cost time in every step.
            self.on_train_batch_end = self._after_batch
        self.reset()
        if backup is not None:
            self._store = Backup(backup, type(self).__name__)

    # What a subclass fills in.

    def _measure(self) -> Record:
        """Arrays over the followed layers, as they are now."""
        raise TypeError(f"{type(self).__name__} measures nothing.")

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The run's variables, from `self._records`."""
        raise TypeError(f"{type(self).__name__} has no variables.")

    def _attributes(self) -> dict[str, Any]:
        return {}

    def _check_ahead(self, epoch: int) -> None:
        """Refuses, before training, what is known not to work out."""

    def _forget_unrecorded(self) -> None:
        """Drops what was gathered since the last record."""
        self._loss = MeanLoss()

    def _settings(self) -> dict[str, Any]:
        chosen = self.layers if not callable(self.layers) else getattr(self.layers, "__name__", "")
        return {"every": self.every, "layers": chosen}

    def _coordinates(self) -> dict[str, Any]:
        return {}

    def _needs_batches(self) -> bool:
        return self.every != "epoch"

    # The public side.

    def reset(self) -> None:
        """Forgets everything recorded, on disk too, so that the next `fit` begins a new run."""
        if self._store is not None:
            self._store.clear()
        self._model: Any = None
        self._records: list[Record] = []
        self._rows: list[TrackedLayer] = []
        self._notes: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._training = self._ended = self._begun = self._failed = False
        self._updates = UpdateCount()
        self._loss = MeanLoss()
        self._epochs = 0
        self._validated = 0, math.nan  # update, validation loss
        self._clock = time.perf_counter()  # at which the run's wall time was 0

    @property
    def results(self):
        """The run so far, an `xarray.Dataset`; readable at any time, from any thread.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        if not self._records:
            raise RuntimeError(
                f"This {type(self).__name__} has recorded nothing yet: pass it to "
                "`model.fit(..., callbacks=[...])` first."
            )
        with LOCK:
            return self._run()

    @property
    def records(self) -> tuple[Record, ...]:
        """What was measured at each record so far, raw; as quick to read as `results` is not."""
        with LOCK:
            return tuple(self._records)

    def _run(self):
        def column(name: str) -> list[Any]:
            return [record[name] for record in self._records]

        coordinates = {name: column(name) for name in ("step", "epoch", "wall_time")}
        coordinates |= {
            "layer": [row.name for row in self._rows],
            "depth": list(range(len(self._rows))),
            "parameters": [row.parameters for row in self._rows],
            "kind": [row.kind for row in self._rows],
            "role": [row.role for row in self._rows],
        }
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            name: (("step",), column(name))
            for name in ("loss", "validation_loss", "learning_rate")
            if not all(math.isnan(value) for value in column(name))
        }
        variables |= self._variables()  # before the attributes: it may note what is missing
        optimizer = self._updates.optimizer
        notes = {f"depth/{name}".rstrip("/"): note for name, note in self._notes.items()}
        attributes = {
            "provisional": int(not self._ended),
            "seed": _seed(),
            "keras_version": keras.__version__,
            "backend": keras.backend.backend(),
            "backend_version": _backend_version(),
            "optimizer": getattr(optimizer, "kind", type(inner(optimizer)).__name__),
            "learning_rate": column("learning_rate")[0],
            "missing": {**self._missing, **notes},
            **self._attributes(),
            "settings": {type(self).__name__: self._settings()},
        }
        return schema.dataset(variables, coordinates | self._coordinates(), attributes)

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model; a run that has begun goes on with the same one only.

        Raises:
            ValueError: If the model cannot be tracked, or the run is another model's.
        """
        self._follow(model, getattr(model, "optimizer", None))

    def _follow(self, model: keras.Model, optimizer: Any) -> None:
        name = type(self).__name__
        if self._records and model is not self._model:
            raise ValueError(
                f"This {name} holds the run of the model '{self._model.name}' and cannot go on "
                f"with '{model.name}'. Use a new {name}, or call `reset()` to discard that run."
            )
        check_trainable_model(model, optimizer)
        order = tracked_layers(model)
        rows = select_layers(order.layers, self.layers)
        if self._records and _outline(rows) != _outline(self._rows):
            raise ValueError(
                f"The layers of the model '{model.name}' have other parameters than when this "
                f"{name} began its run. Use a new {name}, or call `reset()` to discard that run."
            )
        super().set_model(model)
        self._rows = rows
        names = {"", *(row.name for row in rows)}
        self._notes = {key: note for key, note in order.notes.items() if key in names}
        self._updates.follow(model, optimizer)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._failed = self._training  # the `fit` before this one came to no end
        self._training, self._ended, self._begun = True, False, False
        self._start_clock()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        # Not in `on_train_begin`: BackupAndRestore loads weights there.
        if not self._begun:
            self._begin(epoch)
        self._loss.begin_epoch()
        if self._needs_batches():
            self._updates.at_batch(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due."""
        logs = logs or {}
        self._epochs += 1
        self._loss.observe(logs.get("loss"), self._loss.batches or 1)
        step = self._updates.now()
        self._validated = step, number(logs.get("val_loss"))
        if step > self._last_step() and (self.every == "epoch" or step >= self._due()):
            self._take(step)
        elif step == self._last_step():  # taken after the last batch, or there was no update
            self._records[-1] |= {"epoch": self._epochs, "validation_loss": self._validated[1]}
            self._keep(self._records[-1])

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record."""
        step = self._updates.now()
        if self._records and step > self._last_step():
            self._take(step)
        self._training, self._ended = False, True

    # Loops that call no hooks, see `keras_lcb.track`.

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained by other means than `fit`."""
        self._follow(model, optimizer)

    def release(self) -> None:
        """Lets go of what `track` has attached to."""

    def take_record(self, loss: float | None = None, validation_loss: float | None = None) -> None:
        """Takes a record now, unless nothing was updated since the last one."""
        step = self._updates.now()
        if step > self._last_step():
            self._loss.begin_epoch()
            self._loss.observe(loss, 1)
            self._validated = step, number(validation_loss)
            self._take(step)

    # Records.

    def _begin(self, epoch: int) -> None:
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
        self._epochs = max(epoch, self._epochs)
        self._check_ahead(epoch)
        if counted_anew and self._store is not None:
            self._store.settle(self._identity(), self._updates.state())
        if not self._records or step > self._last_step():
            self._take(step)

    def _undone(self, step: int) -> bool:
        """Whether updates that a failed `fit` made since the last record have been undone."""
        return step == self._last_step()

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        """Takes a record where one is due; asks the device only where one may be."""
        done = batch + 1
        self._loss.batches = done
        if self.every == "epoch" or not self._updates.may_have_reached(self._due(), done):
            return
        step = self._updates.at_batch(done)
        if step >= self._due():
            self._loss.observe((logs or {}).get("loss"), done)
            self._take(step)

    def _last_step(self) -> int:
        return self._records[-1]["step"]

    def _due(self) -> int:
        return (self._last_step() // int(self.every) + 1) * int(self.every)

    def _take(self, step: int) -> None:
        record = {
            "step": step,
            "epoch": self._epochs,
            "wall_time": time.perf_counter() - self._clock,
            "loss": self._loss.take(),
            "validation_loss": self._validated[1] if self._validated[0] == step else math.nan,
            "learning_rate": _learning_rate(self._updates.optimizer),
            **self._measure(),
        }
        with LOCK:
            self._records.append(record)
        self._keep(record)

    def _start_clock(self) -> None:
        elapsed = self._records[-1]["wall_time"] if self._records else 0.0
        self._clock = time.perf_counter() - elapsed

    def _go_back_to(self, step: int) -> None:
        """Drops the records of updates that were undone, as BackupAndRestore does."""
        if step < 0:
            raise ValueError(
                f"The optimizer of the model '{self._model.name}' has been set back to before "
                f"this run began. Call `reset()` on this {type(self).__name__} to begin a new run."
            )
        warnings.warn(
            f"The model has been set back to update {step}: the records after it, up to update "
            f"{self._last_step()}, are dropped.",
            stacklevel=2,
        )
        with LOCK:
            self._records = [record for record in self._records if record["step"] <= step]
        if self._store is not None:
            self._store.discard_after(step)
        self._forget_unrecorded()
        self._continue()

    def _continue(self) -> None:
        """Goes on from the last record."""
        self._epochs = int(self._records[-1]["epoch"])
        self._start_clock()

    # Backup.

    def _keep(self, record: Record) -> None:
        if self._store is not None:
            self._store.append(record["step"], record)

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a kept record to be this run's."""
        return {"rows": _outline(self._rows), **self._settings()}

    def _resume(self, store: Backup) -> None:
        """Goes on from the records on disk, up to the update at which the model stands."""
        count = store.count(self._identity())
        if count is None:
            return
        fresh = self._updates.state()
        self._updates.restore(count)
        now = self._updates.now()
        records = store.records(until=now)
        if records and records[0]["step"] == 0 and self._stands_at(records[-1], now):
            store.discard_after(now)
            self._records = records
            self._restored(records)
            self._continue()
        else:
            self._updates.restore(fresh)
            store.clear()
            warnings.warn(
                f"The backup in '{store.folder}' ends elsewhere than this model begins; a new "
                "record is started there.",
                stacklevel=2,
            )

    def _stands_at(self, record: Record, step: int) -> bool:
        """Whether the model, at `step`, can be the one that `record` was taken of."""
        return True

    def _restored(self, records: list[Record]) -> None:
        """Called with the records that came from a backup."""


def _outline(rows: list[TrackedLayer]) -> list[list[Any]]:
    return [[row.name, row.parameters] for row in rows]


def _checked_every(every: Any) -> str | int:
    if isinstance(every, str) and every == "epoch":
        return every
    if isinstance(every, (int, np.integer)) and not isinstance(every, bool) and every >= 1:
        return int(every)
    raise ValueError(f"`every` is 'epoch' or a number of updates, 1 or more; received {every!r}.")


def _learning_rate(optimizer: Any) -> float:
    if hasattr(inner(optimizer), "optimizers"):  # a MultiOptimizer has no rate of its own
        return math.nan
    return float(ops.on_host(optimizer.learning_rate))


def _seed() -> int | None:
    """What `keras.utils.set_random_seed` was last given."""
    return keras.src.backend.common.global_state.get_global_attribute("global_random_seed")


def _backend_version() -> str:
    return importlib.metadata.version(keras.backend.backend())
