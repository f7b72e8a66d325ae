"""A small training that keeps its state and its record, so that it can be killed and goes on."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

EPOCHS = 30
END = "end.npz"  # written after the training: its weights and its record


def train(folder: pathlib.Path, order: Sequence[int], say: Callable[[str], Any]) -> None:
    """Trains, or goes on with what an earlier process left in the folder.

    Args:
        folder: Holds everything that is kept.
        order: The places of the three callbacks, of which no order may matter.
        say: Receives a line at the begin and the end of each epoch, and "done" at the end.
    """
    import keras

    import keras_lcb as lcb

    class Telling(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # type: ignore[no-untyped-def]
            say(f"begins {epoch}")

        def on_epoch_end(self, epoch, logs=None):  # type: ignore[no-untyped-def]
            say(f"ended {epoch}")

    x, y = _data()
    model = _model()
    convergence = lcb.LayerConvergence(backup=folder / "record")
    gradients = lcb.GradientNorms(every=3, backup=folder / "record")
    callbacks = [convergence, gradients, lcb.TrainingBackup(folder / "state", delete_after=False)]
    kept = [callbacks[place] for place in order]
    model.fit(x, y, 4, EPOCHS, verbose=0, shuffle=False, callbacks=[*kept, Telling()])
    end = {f"weights {place}": weights for place, weights in enumerate(model.get_weights())}
    run = convergence.results
    end |= {"step": run["step"].values, "distance": run["distance"].values}
    end |= {"gradient steps": gradients.results["step"].values}
    with open(folder / f".{END}", "wb") as file:
        np.savez(file, allow_pickle=False, **end)
    (folder / f".{END}").rename(folder / END)
    say("done")


def _data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 6)).astype("float32")
    return x, random.normal(size=(20, 2)).astype("float32")


def _model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    first = [keras.layers.Dense(8, "tanh"), keras.layers.Dropout(0.2, seed=1)]
    model = keras.Sequential([keras.Input((6,)), *first, keras.layers.Dense(2)])
    eager = keras.backend.backend() == "tensorflow"  # tracing takes longer than the training
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eager)
    return model


def last_ended(said: Sequence[str], last: int) -> int:
    """Returns the last epoch that has ended, as far as a training said; `last` if it said none."""
    told = [(word, int(epoch)) for word, epoch in (line.split() for line in said if " " in line)]
    return max([last, *(epoch - (word == "begins") for word, epoch in told)])


def problem(said: Sequence[str], last: int) -> str:
    """Returns what is wrong with where a training went on; nothing if it is right.

    Args:
        said: What the training said.
        last: The last epoch that is known to have ended before; -1 if none is.
    """
    first = said[0] if said else ""
    # One more epoch may have ended, if the process was killed before it could say so.
    if first in (f"begins {last + 1}", f"begins {last + 2}", "done"):
        return ""
    return f"after epoch {last} had ended, it said {list(said)}"


def compared(folder: pathlib.Path, unbroken: pathlib.Path) -> str:
    """Returns how the end of a training differs from that of an unbroken one; nothing if not."""
    with np.load(folder / END) as ours, np.load(unbroken / END) as theirs:
        for name in theirs.files:
            if name == "gradient steps":  # there is a record more where a training went on
                same = bool(np.isin(theirs[name], ours[name]).all())
            else:
                same = _same(ours[name], theirs[name])
            if not same:
                return f"'{name}' differs from that of the unbroken training"
    return ""


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-5, atol=1e-6)
