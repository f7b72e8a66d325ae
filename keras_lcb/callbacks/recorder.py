"""What the recording callbacks share: when a record is due, and what stands beside it."""

from __future__ import annotations

import importlib.metadata
import json
import math
import time
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.callbacks.backup import Backup
from keras_lcb.runs import schema
from keras_lcb.training.layers import (
    LayerSelection,
    TrackedLayer,
    check_trainable_model,
    select_layers,
    tracked_layers,
)

Record = dict[str, Any]


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
        self._store = Backup(backup, type(self).__name__) if backup is not None else None
        if self._needs_batches():
            # Only now is there a batch hook: an empty one would cost time in every step.
            self.on_train_batch_end = self._after_batch
        self.reset()

    # What a subclass fills in.

    def _measure(self) -> Record:
        """Arrays over the followed layers, as they are now."""
        raise TypeError(f"{type(self).__name__} measures nothing.")

    def _variables(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """The run's variables, from `self._records`."""
        raise TypeError(f"{type(self).__name__} has no variables.")

    def _attributes(self) -> dict[str, Any]:
        return {}

    def _settings(self) -> dict[str, Any]:
        chosen = self.layers if not callable(self.layers) else getattr(self.layers, "__name__", "")
        return {"every": self.every, "layers": chosen}

    def _coordinates(self) -> dict[str, Any]:
        return {}

    def _needs_batches(self) -> bool:
        return self.every != "epoch"

    # The public side.

    def reset(self) -> None:
        """Forgets everything recorded, so that the next `fit` begins a new run."""
        self._model: Any = None
        self._records: list[Record] = []
        self._rows: list[TrackedLayer] = []
        self._notes: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._training = False
        self._ended = False
        self._begun = False
        self._optimizer: Any = None
        self._base = 0  # step = iterations - origin + base
        self._origin: int | None = None
        self._known_step = self._known_batch = 0
        self._epochs = 0
        self._elapsed = 0.0
        self._clock = time.perf_counter()
        self._loss = _MeanLoss()

    @property
    def results(self):
        """The run so far, an `xarray.Dataset`; readable at any time.

        Raises:
            RuntimeError: If nothing has been recorded yet.
        """
        if not self._records:
            raise RuntimeError(
                f"This {type(self).__name__} has recorded nothing yet: pass it to "
                "`model.fit(..., callbacks=[...])` first."
            )
        column = {
            name: [record[name] for record in self._records]
            for name in ("step", "epoch", "wall_time", "loss", "validation_loss", "learning_rate")
        }
        variables = {
            name: (("step",), column[name])
            for name in ("loss", "validation_loss", "learning_rate")
            if not all(math.isnan(value) for value in column[name])
        }
        coordinates = {name: column[name] for name in ("step", "epoch", "wall_time")}
        coordinates |= {
            "layer": [row.name for row in self._rows],
            "depth": list(range(len(self._rows))),
            "parameters": [row.parameters for row in self._rows],
            "kind": [row.kind for row in self._rows],
            "role": [row.role for row in self._rows],
        }
        own = self._variables()  # first: it may note what is missing
        attributes = {
            "provisional": int(not self._ended),
            "seed": _seed(),
            "keras_version": keras.__version__,
            "backend": keras.backend.backend(),
            "backend_version": _backend_version(),
            "optimizer": getattr(self._optimizer, "kind", type(_inner(self._optimizer)).__name__),
            "learning_rate": column["learning_rate"][0],
            "missing": {**self._missing, **{f"depth/{k}": v for k, v in self._notes.items()}},
            **self._attributes(),
            "settings": {type(self).__name__: self._settings()},
        }
        return schema.dataset(variables | own, coordinates | self._coordinates(), attributes)

    # Keras' hooks.

    def set_model(self, model: keras.Model) -> None:
        """Attaches to a model; a run that has begun goes on with the same one only.

        Raises:
            ValueError: If the model cannot be tracked, or the run is another model's.
        """
        self._follow(model, model.optimizer)

    def _follow(self, model: keras.Model, optimizer: Any) -> None:
        if self._records and model is not self._model:
            raise ValueError(
                f"This {type(self).__name__} holds the run of the model '{self._model.name}' and "
                f"cannot go on with '{model.name}'. Use a new {type(self).__name__}, or call "
                "`reset()` to discard that run."
            )
        check_trainable_model(model, optimizer)
        super().set_model(model)
        order = tracked_layers(model)
        self._rows = select_layers(order.layers, self.layers)
        names = {"", *(row.name for row in self._rows)}
        self._notes = {name: note for name, note in order.notes.items() if name in names}
        if optimizer is not self._optimizer:
            # A new optimizer counts from its own beginning.
            self._base = self._records[-1]["step"] if self._records else 0
            self._optimizer, self._origin = optimizer, None

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._training, self._ended, self._begun = True, False, False
        self._clock = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes the first record, if there is none yet."""
        # Not in `on_train_begin`: BackupAndRestore loads weights there.
        if not self._begun:
            self._begin(epoch)
        self._loss.begin_epoch()
        self._epochs = epoch
        self._known_step, self._known_batch = self._step(), 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes the record that is due."""
        logs = logs or {}
        self._epochs = epoch + 1
        self._loss.observe(logs.get("loss"), self._loss.batches or 1)
        step = self._step()
        if self.every == "epoch" or step >= self._due():
            self._take(step)
        if self._records[-1]["step"] == step:
            self._records[-1]["validation_loss"] = _number(logs.get("val_loss"))
            self._records[-1]["epoch"] = self._epochs
            self._keep(self._records[-1])

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the last record."""
        self._finish()

    # Records.

    def _begin(self, epoch: int) -> None:
        """Finds the update count and takes the first record of this `fit`."""
        self._begun = True
        self._epochs = epoch
        if self._origin is None:
            self._origin = self._iterations()
            if not self._records and self._store is not None:
                self._resume()
        if not self._records or self._records[-1]["step"] < self._step():
            self._take(self._step())
            self._keep(self._records[-1])

    # Loops that call no hooks, see `keras_lcb.track`.

    def track(self, model: keras.Model, optimizer: Any) -> None:
        """Attaches to a model that is trained by other means than `fit`."""
        self._follow(model, optimizer)

    def release(self) -> None:
        """Lets go of what `track` has attached to."""

    def take_record(self, loss: float | None = None, validation_loss: float | None = None) -> None:
        """Takes a record now, unless nothing was updated since the last one."""
        self._loss.begin_epoch()
        self._loss.observe(loss, 1)
        step = self._step()
        if self._records[-1]["step"] == step:
            return
        self._take(step)
        self._records[-1]["validation_loss"] = _number(validation_loss)
        self._keep(self._records[-1])

    def _finish(self) -> None:
        step = self._step()
        if self._records and self._records[-1]["step"] < step:
            self._take(step)
            self._keep(self._records[-1])
        self._elapsed += time.perf_counter() - self._clock
        self._training, self._ended = False, True

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        """Takes a record where one is due; asks the device only where one may be."""
        done = batch + 1
        self._loss.batches = done
        if self.every == "epoch":
            return
        accumulated = getattr(_inner(self._optimizer), "gradient_accumulation_steps", None) or 1
        most = self._known_step - (self._known_batch - done) // accumulated
        if most < self._due():
            return
        self._known_step, self._known_batch = self._step(), done
        if self._known_step >= self._due():
            self._loss.observe((logs or {}).get("loss"), done)
            self._take(self._known_step)
            self._keep(self._records[-1])

    def _due(self) -> int:
        return (self._records[-1]["step"] // int(self.every) + 1) * int(self.every)

    def _take(self, step: int) -> None:
        self._records.append(
            {
                "step": step,
                "epoch": self._epochs,
                "wall_time": self._elapsed + time.perf_counter() - self._clock,
                "loss": self._loss.take(),
                "validation_loss": math.nan,
                "learning_rate": _learning_rate(self._optimizer),
                **self._measure(),
            }
        )

    def _iterations(self) -> int:
        self.model  # noqa: B018  on JAX, this brings the state back into its variables
        return int(keras.ops.convert_to_numpy(self._optimizer.iterations))

    def _step(self) -> int:
        return self._iterations() - (self._origin or 0) + self._base

    # Backup.

    def _keep(self, record: Record) -> None:
        if self._store is not None:
            self._store.append(record["step"], {k: np.asarray(v) for k, v in record.items()})

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a kept record to be this run's."""
        return {"layers": [[row.name, row.parameters] for row in self._rows], **self._settings()}

    def _resume(self) -> None:
        """Goes on from the records on disk, up to the update at which the model stands."""
        store = self._store
        assert store is not None
        kept = store.settings()
        identity = {"origin": self._origin, "run": self._identity()}
        if kept is None:
            store.start(identity)
            return
        if kept["run"] != _through_json(identity["run"]):
            raise ValueError(
                f"The backup folder '{store.folder}' holds the record of another run (other "
                "layers or settings). Choose another `backup` folder, or delete that one."
            )
        now = self._iterations() - kept["origin"]
        records = [_as_record(arrays) for arrays in store.records()]
        records = [record for record in records if record["step"] <= now]
        if not records or (now == 0 and not self._starts_as(records[0])):
            warnings.warn(
                f"The backup in '{store.folder}' ends elsewhere than this model begins; a new "
                "record is started there.",
                stacklevel=2,
            )
            store.start(identity)
            return
        self._origin = kept["origin"]
        store.discard_after(now)
        self._records = records
        self._elapsed = records[-1]["wall_time"]
        self._restored(records)

    def _starts_as(self, record: Record) -> bool:
        """Whether the model's weights are those of a run's first record."""
        return True

    def _restored(self, records: list[Record]) -> None:
        """Called with the records that came from a backup."""


class _MeanLoss:
    """Mean loss since the last record, from Keras' running mean over the epoch."""

    def __init__(self) -> None:
        self.batches = 0
        self._sum = self._weight = 0.0
        self._seen_mean, self._seen_batches = 0.0, 0

    def begin_epoch(self) -> None:
        self.batches = 0
        self._seen_mean, self._seen_batches = 0.0, 0

    def observe(self, mean: Any, batches: int) -> None:
        mean = _number(mean)
        if batches > self._seen_batches:
            self._sum += mean * batches - self._seen_mean * self._seen_batches
            self._weight += batches - self._seen_batches
        self._seen_mean, self._seen_batches = mean, batches

    def take(self) -> float:
        mean = self._sum / self._weight if self._weight else math.nan
        self._sum = self._weight = 0.0
        return mean


def _checked_every(every: Any) -> str | int:
    if every == "epoch":
        return "epoch"
    if isinstance(every, (int, np.integer)) and not isinstance(every, bool) and every >= 1:
        return int(every)
    raise ValueError(f"`every` is 'epoch' or a number of updates, 1 or more; received {every!r}.")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _learning_rate(optimizer: Any) -> float:
    if hasattr(_inner(optimizer), "optimizers"):  # a MultiOptimizer has no rate of its own
        return math.nan
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def _seed() -> int | None:
    """What `keras.utils.set_random_seed` was last given."""
    return keras.src.backend.common.global_state.get_global_attribute("global_random_seed")


def _backend_version() -> str:
    return importlib.metadata.version(keras.backend.backend())


def _as_record(arrays: dict[str, np.ndarray]) -> Record:
    return {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
