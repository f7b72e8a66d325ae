"""Tiny models whose layers freeze, and a callback that looks at their weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

EPOCHS = 6


def network(optimizer="adam", **options):
    """Dense layers `a`, `b`, `c`, with a batch normalization after `a`."""
    keras.utils.set_random_seed(3)
    start = keras.Input((6,))
    end = layers.Dense(4, activation="tanh", name="a")(start)
    end = layers.BatchNormalization(name="a_norm")(end)
    end = layers.Dense(4, activation="tanh", name="b")(end)
    model = keras.Model(start, layers.Dense(2, name="c")(end), name="chain")
    # Uncompiled, since that takes longer than tiny trainings do.
    options.setdefault("run_eagerly", keras.backend.backend() != "torch")
    if optimizer == "adam":
        optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, "mse", **options)
    return model


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(16, 6)).astype("float32")
    return x, random.normal(size=(16, 2)).astype("float32")


class Weights(keras.callbacks.Callback):
    """Keeps all weights by name at the end of each epoch, and what Keras says that trains."""

    def on_train_begin(self, logs=None):
        self.kept, self.training = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(weights_of(self.model))
        self.training.append([v.path for v in self.model.trainable_variables])

    def stay(self, name, since):
        """Whether the weights of a layer are the same to the last bit since so many epochs."""
        then, now = self.kept[since - 1], self.kept[-1]
        return all(np.array_equal(then[path], now[path]) for path in then if f"{name}/" in path)


def weights_of(model):
    return {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.weights}


def train(model, *callbacks, epochs=EPOCHS, **options):
    x, y = data()
    options = {"shuffle": False, "verbose": 0} | options
    return model.fit(x, y, 4, epochs, callbacks=list(callbacks), **options)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(3)
