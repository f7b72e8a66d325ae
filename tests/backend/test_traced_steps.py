"""What a traced step of TensorFlow writes to."""

from __future__ import annotations

import keras
import pytest

from tests.models import dense
from tests.oracle import Network

if keras.backend.backend() != "tensorflow":
    pytest.skip("only TensorFlow goes on with a traced step", allow_module_level=True)

from keras_lcb.backend.traced_steps import variables_written

NETWORK = Network((3, 4, 2))
X, Y = NETWORK.data(8)


@pytest.mark.parametrize("steps_per_execution", [1, 4])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "ftrl"])
def test_of_a_model_with_a_frozen_layer(optimizer, steps_per_execution):
    model = dense(NETWORK)
    model.get_layer("a").trainable = False
    model.compile(optimizer, "mse", steps_per_execution=steps_per_execution)
    model.make_train_function()
    assert not variables_written(model.train_function)  # not traced yet
    model.fit(X, Y, batch_size=2, verbose=0)
    written = variables_written(model.train_function)
    trained = {id(v.value) for v in model.get_layer("b").weights}
    still = {id(v.value) for v in model.get_layer("a").weights}
    assert trained <= written and not still & written


def test_of_branches_and_moving_statistics():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())  # updates in a branch
    model.compile(scaled, "mse")
    model.fit(X, X, verbose=0)
    written = variables_written(model.train_function)
    assert {id(v.value) for v in model.layers[0].weights} <= written
