import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.quantities import FirstGradient
from tests.modes import modes


@pytest.mark.parametrize("mode", modes(2))
def test_it_is_the_norm_at_the_first_update_even_if_later_ones_are_lost(mode):
    """The gradient of the mean of (w·x)² is 2·mean(x (w·x))."""
    layer = keras.layers.Dense(1, use_bias=False, name="lin")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(1e30), "mse", **mode)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    w = np.array([[1.0], [2.0], [-1.0]], "float32")
    layer.set_weights([w])
    first = lcb.StepQuantities(FirstGradient())
    model.fit(
        x, np.zeros((8, 1)), batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[first]
    )
    batch = x[:2].astype(float)
    expected = np.linalg.norm(2 * batch.T @ (batch @ w) / 2)
    found = first.results.first_gradient.values[:, 0]
    np.testing.assert_allclose(found, [np.nan, expected, expected], rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX adds up in single precision")
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_norm_whose_square_is_beyond_single_precision(size):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), lambda y, predicted: size * keras.ops.mean(predicted))
    first = lcb.StepQuantities(FirstGradient())
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[first])
    found = first.results.first_gradient.values[-1, 0]
    np.testing.assert_allclose(found, size * np.sqrt(2), rtol=1e-5)
