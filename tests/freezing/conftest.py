"""Tiny models whose layers freeze, and a callback that stores their weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

EPOCHS = 6


def network(optimizer="adam", **options):
    """Returns a model with dense layers `a`, `b`, `c`, with a batch normalization after `a`."""
    keras.utils.set_random_seed(3)
    start = keras.Input((6,))
    end = layers.Dense(4, activation="tanh", name="a")(start)
    end = layers.BatchNormalization(name="a_norm")(end)
    end = layers.Dense(4, activation="tanh", name="b")(end)
    model = keras.Model(start, layers.Dense(2, name="c")(end), name="chain")
    # Not compiled, because compilation takes longer than a tiny training.
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
    """Stores all weights, and the names of the trainable variables, at the end of each epoch."""

    def on_train_begin(self, logs=None):
        self.kept, self.training = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(weights_of(self.model))
        self.training.append([v.path for v in self.model.trainable_variables])

    def stay(self, name, since):
        """Returns whether a layer's weights are exactly the same since the end of this epoch."""
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
