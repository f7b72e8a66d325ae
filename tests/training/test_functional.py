"""The loss as a function of the weights, against backpropagation by hand."""

from __future__ import annotations

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.training.functional import batch_loss
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()


def test_loss_and_gradients_at_given_weights():
    model = dense(NETWORK)
    model.compile(loss="mse")
    x, y = NETWORK.data(8)
    elsewhere = NETWORK.weights(seed=5)
    sample_weight = np.linspace(0, 2, 8)
    tensors = [keras.ops.convert_to_tensor(w, "float32") for w in elsewhere]

    def loss(*trainable):
        return batch_loss(model, trainable, [], x, y, sample_weight)

    expected = NETWORK.loss(elsewhere, x, y, sample_weight)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss(*tensors)), expected, rtol=1e-5)
    gradients = NETWORK.gradients(elsewhere, x, y, sample_weight)
    for found, exact in zip(ops.gradients(loss, tensors), gradients, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), exact, rtol=1e-4, atol=1e-6)
    for weight, kept in zip(model.get_weights(), NETWORK.weights(), strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_penalties_count_and_nothing_is_changed():
    inputs = keras.Input((3,))
    signal = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5, seed=1)(inputs))
    outputs = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.5))(signal)
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse", metrics=["mae"])
    x, y = np.ones((4, 3)), np.zeros((4, 1))
    before = [keras.ops.convert_to_numpy(v) for v in model.variables]
    trainable = [keras.ops.convert_to_tensor(v) for v in model.trainable_variables]
    rest = [keras.ops.convert_to_tensor(v) for v in model.non_trainable_variables]
    losses = [batch_loss(model, trainable, rest, x, y, training=True) for _ in range(2)]
    first, second = map(keras.ops.convert_to_numpy, losses)
    assert first == second, "the same state of the generator draws the same mask"
    evaluated = keras.ops.convert_to_numpy(batch_loss(model, trainable, rest, x, y))
    assert first != evaluated
    kernel = model.layers[-1].get_weights()[0]
    predicted = model.predict(x, verbose=0)
    penalised = np.mean(predicted**2) + 0.5 * np.sum(kernel**2)
    np.testing.assert_allclose(evaluated, penalised, rtol=1e-5)
    after = [keras.ops.convert_to_numpy(v) for v in model.variables]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
