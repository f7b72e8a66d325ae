"""The state of a training on disk, from which a killed training goes on."""

from __future__ import annotations

import io
import json
import os
import pathlib
import re
import warnings
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.callbacks.completeness import check_complete
from keras_lcb.callbacks.order import callbacks_around
from keras_lcb.runs.atomic import remove_leftovers, write_atomically
from keras_lcb.runs.seal import is_intact, sealed
from keras_lcb.training.rnn_states import rnn_states

_KEPT = 2
_GROUP = "keras_lcb"  # Keras ignores this group when it loads the weights
_NAME = re.compile(r"epoch_(\d{8})\.weights\.h5")


class TrainingBackup(keras.callbacks.Callback):
    """Lets a training that was killed go on where it was at the end of its last epoch.

    Run the same program again: `fit` begins with the state in the folder, at the right epoch. The
    state consists of the weights, the optimizer (and the others that are attributes of the model),
    the states of stateful RNNs, and the seeds of layers such as `Dropout` (on torch, of those that
    were given a seed). An interrupted training therefore ends at the same weights as another, if
    the data come in the same order (`shuffle=False`, or an order that depends on the epoch only).
    Not in the state are other callbacks, such as the patience of `EarlyStopping`. The callbacks of
    this package have `backup` for it; records after the restored epoch are dropped.

    This callback keeps the state as it is when Keras calls it at the end of an epoch. So put it
    after callbacks that set the learning rate there, such as `ReduceLROnPlateau`, and before those
    that change the weights, such as `SwapEMAWeights(swap_on_epoch=True)`. Use one folder for each
    `fit` of a program that has several.

    Each state is written to a new file, which gets its name only when it is whole, and carries a
    checksum. The newest two are kept, so that whenever the process is killed, a whole state is
    there. (`keras.callbacks.BackupAndRestore` overwrites its file in place.) Where the disk is full
    or the folder read-only, a warning says so, and training goes on.

    The cost at the end of each epoch is that of `model.save_weights`, with the state once in memory
    and waiting until it is on the disk; and on the disk two states, three for a moment. With Adam,
    a state takes three times as much as the weights. Layers with LoRA, and others whose weights
    Keras does not save as they are, are kept twice. Nothing is done within an epoch.

    Args:
        folder: Where to keep the states. It is made if it does not exist, and must not be that of
            another `fit`.
        delete_after: Whether to delete the states once `fit` has come to its end. A process that is
            killed after that, but before it has saved the model, has to train from the start. With
            `False`, a later `fit` goes on from the states, or trains no more if all epochs are
            done; delete the folder once the model is saved. Defaults to `True`.

    Raises:
        ValueError: When training begins, if the model is not built, if the folder holds the state
            of another model, if none of its states can be read, or if
            `SwapEMAWeights(swap_on_epoch=True)` comes before this callback.
        NotADirectoryError: When training begins, if a file is in the place of the folder.

    Example:
        >>> import tempfile, keras, numpy as np
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> class Stop(keras.callbacks.Callback):
        ...     def on_epoch_begin(self, epoch, logs=None):
        ...         if epoch == 2:
        ...             raise KeyboardInterrupt
        >>> backup = TrainingBackup(tempfile.mkdtemp())
        >>> try:
        ...     model.fit(x, y, epochs=5, verbose=0, callbacks=[backup, Stop()])
        ... except KeyboardInterrupt:
        ...     pass
        >>> history = model.fit(x, y, epochs=5, verbose=0, callbacks=[backup])
        >>> history.epoch
        [2, 3, 4]
    """

    def __init__(self, folder: str | os.PathLike[str], delete_after: bool = True) -> None:
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.delete_after = delete_after
        self._restored = self._failed = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the newest state that is whole, if there is one."""
        self._failed = False
        check_complete(self.model, "TrainingBackup")
        _check_order(self)
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not there.is_dir():
            raise NotADirectoryError(
                f"TrainingBackup cannot make its folder '{self.folder}': '{there}' is a file. "
                "Choose another folder."
            )
        if ops.is_chief(self.model):
            remove_leftovers(self.folder, ".epoch_*.tmp", older_than=0)
        states = self._states()
        if not states:
            return
        for path in reversed(states):
            content = path.read_bytes()
            if is_intact(content):
                self._restore(path, content)
                return
            warnings.warn(f"'{path}' is damaged, and is passed over.", stacklevel=2)
        raise ValueError(
            f"No state in '{self.folder}' can be read. Delete the folder to train from the start."
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Leaves it to the arguments of the next `fit` where that begins."""
        self._forget_epoch()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the state."""
        model = self.model
        if not ops.is_chief(model):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"epoch_{epoch + 1:08d}.weights.h5"
            write_atomically(path, sealed(_content(model)))
            for path in self._states()[:-_KEPT]:
                path.unlink()
        except OSError as error:
            self._warn(error)

    def on_train_end(self, logs: Any = None) -> None:
        """Deletes the states, the newest last, if they are not to be kept."""
        self._forget_epoch()
        if not self.delete_after or not ops.is_chief(self.model):
            return
        try:
            for path in self._states():
                path.unlink()
            if self.folder.exists() and not any(self.folder.iterdir()):
                self.folder.rmdir()
        except OSError as error:
            self._warn(error)

    def _states(self) -> list[pathlib.Path]:
        """Returns the files of states, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def _restore(self, path: pathlib.Path, content: bytes) -> None:
        outline, further = _read(content)
        ours = _further(self.model)
        if outline != _outline(self.model):
            problem: str | None = "its weights have other shapes"
        elif [list(value.shape) for value in further] != [list(each.shape) for each in ours]:
            problem = "its seeds or states are others"
            if _saved_otherwise(self.model):
                problem += ", or an older version wrote it, without the exact weights of LoRA"
        else:
            problem = internals.load_state(self.model, io.BytesIO(content))
        if problem is not None:
            raise ValueError(
                f"'{path}' does not hold the state of this model and optimizer ({problem}). Choose "
                "another folder for TrainingBackup, or delete that one. If an optimizer is not "
                "built yet, call its `build(variables)` before `fit`."
            )
        for variable, value in zip(ours, further, strict=True):
            variable.assign(value)
        internals.start_at(self.model, int(_NAME.fullmatch(path.name)[1]))  # type: ignore[index]
        self._restored = True

    def _forget_epoch(self) -> None:
        if self._restored:
            internals.start_at(self.model, None)
        self._restored = False

    def _warn(self, error: OSError) -> None:
        if not self._failed:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            warnings.warn(
                f"TrainingBackup could not write to '{self.folder}' ({reason}), so training goes "
                "on without a new state, and writing is tried again after each epoch.",
                stacklevel=2,
            )
        self._failed = True


def _check_order(backup: TrainingBackup) -> None:
    """Refuses averages that are in the weights' place when a state is written.

    Only the process that has swapped them in knows that they are to be swapped out again. A
    learning rate that is set after a state was written gets a warning.
    """
    before, after = callbacks_around(backup)
    if any(isinstance(later, keras.callbacks.ReduceLROnPlateau) for later in after):
        warnings.warn(
            "ReduceLROnPlateau comes after TrainingBackup in the list of callbacks, so a training "
            "that was killed would go on with the learning rate of before its last change. Put "
            "TrainingBackup after it.",
            stacklevel=3,
        )
    for earlier in before:
        if isinstance(earlier, keras.callbacks.SwapEMAWeights) and earlier.swap_on_epoch:
            raise ValueError(
                "TrainingBackup comes after SwapEMAWeights(swap_on_epoch=True) in the list of "
                "callbacks, so it would keep the averages in place of the weights. Put "
                "TrainingBackup before it."
            )


def _content(model: keras.Model) -> memoryview:
    """Returns a model's state as an HDF5 file, which `model.load_weights` can read, too."""
    import h5py

    content = internals.state_in_memory(model)
    with h5py.File(content, "r+") as file:
        group = file.create_group(_GROUP)
        group["outline"] = json.dumps(_outline(model))
        for number, variable in enumerate(_further(model)):
            value = keras.ops.convert_to_numpy(variable)
            # HDF5 does not know types such as bfloat16, whose values float32 holds exactly.
            group[f"state_{number}"] = value.astype("f4") if value.dtype.kind == "V" else value
    return content.getbuffer()


def _read(content: bytes) -> tuple[Any, list[np.ndarray]]:
    """Returns what `_content` has added to Keras' file."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        group = file[_GROUP]
        further = [group[f"state_{number}"][()] for number in range(len(group) - 1)]
        return json.loads(group["outline"][()]), further


def _outline(model: keras.Model) -> list[list[int]]:
    return [list(weights.shape) for weights in model.weights]


def _further(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables of a training whose values Keras' file does not hold.

    They are the states of random layers and of stateful RNNs, and the weights that Keras does not
    save as they are.
    """
    known = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    known -= set(map(id, _saved_otherwise(model)))
    found = {id(variable): variable for variable in (*model.variables, *rnn_states(model))}
    return [variable for key, variable in found.items() if key not in known]


def _saved_otherwise(model: keras.Model) -> list[keras.Variable]:
    """Returns the weights of layers that do not simply save and load their variables.

    With LoRA, for example, Keras saves W + s·A·B in place of W, and sets A and B to zero when it
    loads that.
    """
    found = []
    for layer in (model, *internals.flattened(model)):
        saved: dict[str, Any] = {}
        layer.save_own_variables(saved)
        own, ids = internals.own_weights(layer), {id(value) for value in saved.values()}
        themselves = all(id(variable) in ids for variable in own)
        if not (themselves and internals.is_of_keras(layer.load_own_variables)):
            found += own
    return found
