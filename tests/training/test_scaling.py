"""Learning-rate multipliers also scale moving statistics, and may change at any time."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import LayerwiseModel
from tests.modes import BACKEND, modes

MOMENTUM = 0.9


class Setting(keras.callbacks.Callback):
    """Sets the factor of a layer for each epoch."""

    def __init__(self, name, factors):
        super().__init__()
        self._name, self._factors = name, factors

    def on_epoch_begin(self, epoch, logs=None):
        self.model.learning_rate_multipliers[self._name] = self._factors[epoch]


@pytest.mark.parametrize("factors", [(1.0, 0.0, 0.0, 0.5), (0.0, 1.0, 1.0, 0.0)], ids=str)
@pytest.mark.parametrize("mode", modes(2, eager=BACKEND == "torch", compiled=BACKEND == "jax"))
def test_moving_statistics_follow_the_factor_of_each_epoch(mode, factors):
    inputs = keras.Input((3,))
    signal = keras.layers.BatchNormalization(momentum=MOMENTUM, name="norm")(inputs)
    model = LayerwiseModel(inputs, keras.layers.Dense(1, name="head")(signal))
    model.compile(keras.optimizers.SGD(0.01), "mse", **mode)
    x = np.random.default_rng(0).normal(5.0, 3.0, size=(8, 3)).astype("float32")
    setting = Setting("norm", factors)
    # Two batches, of all samples each.
    model.fit(
        np.tile(x, (2, 1)),
        np.ones((16, 1)),
        batch_size=8,
        shuffle=False,
        epochs=len(factors),
        verbose=0,
        callbacks=[setting],
    )
    left = MOMENTUM ** (2 * sum(factor > 0 for factor in factors))
    norm = model.get_layer("norm")
    mean, variance = (keras.ops.convert_to_numpy(v) for v in norm.non_trainable_variables)
    np.testing.assert_allclose(mean, (1 - left) * x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(variance, left + (1 - left) * x.var(axis=0), rtol=1e-5)
