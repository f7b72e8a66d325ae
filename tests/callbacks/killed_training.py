"""A training that keeps its record, run as a script to be killed in the middle of an epoch."""

from __future__ import annotations

import os
import pathlib
import signal
import sys

import keras

import keras_lcb as lcb
from tests.callbacks.tiny import compiled, dense, train

EPOCHS, BATCHES = 4, 5
KILLED_AT = 14  # updates, in the third epoch; Keras saved the model at 10


def recorders(folder: pathlib.Path) -> dict[str, keras.callbacks.Callback]:
    return {
        "epochs": lcb.LayerConvergence(backup=folder / "epochs"),
        "updates": lcb.LayerConvergence(every=2, backup=folder / "updates"),
        "sketched": lcb.LayerConvergence(
            every=2, memory="sketch", buckets=8, backup=folder / "sketched"
        ),
        "gradients": lcb.GradientNorms(every=2, backup=folder / "updates"),
    }


class KilledAt(keras.callbacks.Callback):
    def __init__(self, update):
        super().__init__()
        self.update = update

    def on_train_batch_end(self, batch, logs=None):
        if int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)) == self.update:
            os.kill(os.getpid(), signal.SIGKILL)


def trained(folder: pathlib.Path, *others: keras.callbacks.Callback):
    """Trains, or goes on with what an earlier process left in `folder`."""
    model = compiled(dense("a", "b"))
    callbacks = recorders(folder)
    resuming = keras.callbacks.BackupAndRestore(folder / "model", delete_checkpoint=False)
    train(model, *callbacks.values(), resuming, *others, epochs=EPOCHS, batches=BATCHES)
    return {name: callback.results for name, callback in callbacks.items()}


if __name__ == "__main__":
    trained(pathlib.Path(sys.argv[1]), KilledAt(KILLED_AT))
