"""Models and data so small that a training takes next to no time."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def data(shape=(6,), count=8, whole=0):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, *shape)).astype("float32")
    if whole:
        x = random.integers(0, whole, size=(count, *shape)).astype("int32")
    return x, random.normal(size=(count, 2)).astype("float32")


def dense(*names, inputs=6):
    """A Functional chain of Dense layers; the last has two units, the others four."""
    keras.utils.set_random_seed(3)
    start = end = keras.Input((inputs,))
    for name in names[:-1]:
        end = layers.Dense(4, activation="tanh", name=name)(end)
    return keras.Model(start, layers.Dense(2, name=names[-1])(end), name="chain")


def dense_rows(*names):
    return {name: [f"{name}/kernel", f"{name}/bias"] for name in names}


def compiled(model, optimizer="adam", **options):
    """Compiles without a graph on TensorFlow, where tracing takes longer than tiny trainings."""
    keras.utils.set_random_seed(3)
    options.setdefault("run_eagerly", keras.backend.backend() == "tensorflow")
    if optimizer == "adam":
        optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, "mse", **options)
    return model


def train(model, *callbacks, epochs=3, batches=2, **options):
    x, y = data(count=2 * batches)
    model.fit(x, y, 2, epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options)


def close(measured, expected, rtol=1e-6):
    np.testing.assert_allclose(np.asarray(measured), expected, rtol=rtol, atol=1e-6)
