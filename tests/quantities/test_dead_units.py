import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.quantities import DeadUnits
from tests.modes import modes


def _relu_network(biases, second=True):
    """A chain whose units are on for positive biases only, whatever the positive input."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(len(biases), "relu", name="hidden")
    outputs = keras.layers.Dense(1, name="head", use_bias=second)(hidden(inputs))
    model = keras.Model(inputs, outputs)
    kernel = np.full((3, len(biases)), 0.01, "float32")
    hidden.set_weights([kernel, np.array(biases, "float32")])
    return model


def _shares(model, x, y, epochs=1, **fit):
    dead = lcb.StepQuantities(DeadUnits())
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[dead], shuffle=False, **fit)
    return dead.results.dead_units


@pytest.mark.parametrize("mode", modes(2))
def test_units_that_are_never_on_are_dead(mode):
    model = _relu_network([-9.0, 9.0, -9.0, 9.0, -9.0, 9.0, 9.0, 9.0])
    model.compile(keras.optimizers.SGD(1e-3), "mse", **mode)
    found = _shares(model, np.ones((8, 3)), np.zeros((8, 1)), batch_size=2)
    assert np.isnan(found.values[0]).all()
    np.testing.assert_allclose(found.values[1], [3 / 8, 0.0])


def test_a_unit_that_was_on_in_one_update_of_the_record_is_not_dead():
    model = _relu_network([-1.0, -1.0])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.zeros((8, 3), "float32")
    on = x.copy()
    on[5] = 100.0
    both = np.concatenate([on, x])
    found = _shares(model, both, np.ones((16, 1)), epochs=2, batch_size=2)
    np.testing.assert_allclose(found.values[1:, 0], [0.0, 0.0])
    found = _shares(model, x, np.ones((8, 1)), epochs=2, batch_size=2)
    np.testing.assert_allclose(found.values[1:, 0], [1.0, 1.0])


def test_each_record_begins_anew():
    model = _relu_network([0.5, 9.0])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    dead = lcb.StepQuantities(DeadUnits())
    x, y = np.ones((4, 3)), np.zeros((4, 1))
    model.fit(x, y, verbose=0, callbacks=[dead])
    model.get_layer("hidden").bias.assign([-9.0, 9.0])
    model.fit(x, y, verbose=0, callbacks=[dead])
    np.testing.assert_allclose(dead.results.dead_units.values[1:, 0], [0.0, 0.5])


def test_a_layer_behind_dead_units_still_has_its_bias():
    """Nothing reaches the head's kernel, but its bias has a gradient, so its unit is not dead."""
    model = _relu_network([-9.0, -9.0])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    found = _shares(model, np.ones((4, 3)), np.ones((4, 1)))
    np.testing.assert_allclose(found.values[1], [1.0, 0.0])


def test_layers_without_kernels_have_no_units_and_convolutions_count_filters():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(3, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones", name="head")(x))
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    model.get_layer("norm").set_weights([gamma, beta + np.float32([9, -99, 9]), mean, variance])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 1))
    found = _shares(model, x, np.ones((8, 1)))
    conv, norm, head = found.values[1]
    assert conv == pytest.approx(1 / 3)
    assert np.isnan(norm)
    assert head == 0.0


def test_groups_of_layers_share_one_number():
    model = _relu_network([-9.0, 9.0, 9.0])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    dead = lcb.StepQuantities(DeadUnits(), layers=lambda layer: "all")
    model.fit(np.ones((4, 3)), np.zeros((4, 1)), verbose=0, callbacks=[dead])
    assert float(dead.results.dead_units[-1, 0]) == pytest.approx(1 / 4)
