"""The records of a run, which a backup keeps, from which it is resumed, or which are dropped."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import keras

from keras_lcb.callbacks.backup import Backup
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.update_count import UpdateCount

Record = dict[str, Any]

# Results may be read from another thread. The lock belongs to the module, not to the callback:
# tuners copy callbacks, and an object that holds a lock cannot be copied.
LOCK = threading.RLock()
_BACKUP_FORMAT = 2


class KeptRecords(keras.callbacks.Callback):
    """Holds the records of a run. `RecordTiming`, its subclass, decides when they are taken."""

    _model: Any
    _rows: list[TrackedLayer]
    _records: list[Record]
    _updates: UpdateCount
    _epochs: int
    _clock: float  # the moment that counts as wall time 0
    _store: Backup | None
    _kept_count: Any  # what the backup says on how updates are counted

    def settings(self) -> dict[str, Any]:
        """Returns the settings."""
        return {}

    def _forget_unrecorded(self) -> None:
        """Discards what was measured since the last record."""

    def _last_step(self) -> int:
        return self._records[-1]["step"]

    def _start_clock(self) -> None:
        elapsed = self._records[-1]["wall_time"] if self._records else 0.0
        self._clock = time.perf_counter() - elapsed

    def _go_back_to(self, step: int) -> None:
        """Drops the records of updates that were undone, for example by `BackupAndRestore`."""
        if step < 0:
            raise ValueError(
                f"The optimizer of the model '{self._model.name}' has been set back to before "
                f"this run began. Call `reset()` on this {type(self).__name__} to begin a new run."
            )
        warnings.warn(
            f"The model has been set back to update {step}. The records after that, up to update "
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
        """Continues from the last record."""
        self._epochs = int(self._records[-1]["epoch"])
        self._start_clock()

    def _keep(self, record: Record) -> None:
        if self._store is not None:
            self._store.append(record["step"], record)

    def _keep_count(self) -> None:
        count = self._updates.state()
        if self._store is not None and count != self._kept_count:
            self._store.settle(self._identity(), count)
            self._kept_count = count

    def _identity(self) -> dict[str, Any]:
        """Returns what must be equal for a stored record to belong to this run."""
        return {"format": _BACKUP_FORMAT, "rows": outline(self._rows), **self.settings()}

    def _resume(self, store: Backup) -> None:
        """Continues from the records on disk, up to the model's current update."""
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
            aside = store.move_aside()
            warnings.warn(
                f"The backup in '{store.folder}' does not end at the weights with which this model "
                f"begins. The backup is moved to '{aside}', and a new run begins.",
                stacklevel=2,
            )

    def _stands_at(self, record: Record, step: int) -> bool:
        """Returns whether `record` can have been taken on this model, which is now at `step`."""
        return True

    def _restored(self, records: list[Record]) -> None:
        """Takes over the records that were read from a backup."""


def outline(rows: list[TrackedLayer]) -> list[list[Any]]:
    """Returns the names and sizes of the layers, which must stay the same during a run."""
    return [[row.name, row.parameters] for row in rows]
