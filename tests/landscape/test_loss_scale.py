"""With float16, a loss that is very small or large has the derivatives of a loss of usual size."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import landscape
from keras_lcb.landscape import Objective
from keras_lcb.landscape.blocks import Accuracy, measure
from keras_lcb.landscape.hessian import BlockProducts

RANDOM = np.random.default_rng(0)
X, Y = (RANDOM.normal(size=(16, size)).astype("float32") for size in (3, 2))
WEIGHTS = [RANDOM.normal(size=size).astype("float32") for size in [(3, 6), 6, (6, 2), 2]]
SMALL, LARGE = 2.0**-22, 2.0**14  # of losses: one needs a factor, the other none


def network(dtype, size=1.0):
    layers = [keras.layers.Dense(6, "tanh", dtype=dtype, name="a")]
    layers += [keras.layers.Dense(2, dtype=dtype, name="b")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.set_weights(WEIGHTS)
    model.compile(loss="mse", loss_weights=[size])
    return model


def derivatives(dtype, size, **options):
    """What is measured of a loss, divided by its size."""
    objective = Objective(network(dtype, size), X, Y, **options)
    found = {"loss": objective.loss()}
    gradients = objective.gradients()
    found |= {name: keras.ops.convert_to_numpy(own[0]) for name, own in gradients.items()}
    products = BlockProducts(objective, objective.layers)
    vectors = [np.linspace(-1, 1, count) for count in products.sizes]
    found |= dict(enumerate(products(vectors)))
    step = [0.1 / size]
    found["smoothness"] = landscape.gradient_predictiveness(objective, step_sizes=step).smoothness
    return {name: np.asarray(value) / size for name, value in found.items()}


@pytest.fixture(scope="module")
def exact():
    return derivatives("float32", 1.0)


@pytest.mark.parametrize("size, batch_size", [(SMALL, 16), (LARGE, 8)])
def test_derivatives_are_those_of_float32(size, batch_size, exact):
    for name, value in derivatives("mixed_float16", size, batch_size=batch_size).items():
        error = np.linalg.norm(value - exact[name]) / np.linalg.norm(exact[name])
        assert error < 0.01, name


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_search_that_begins_with_the_gradient(size):
    found = []
    for dtype, times in (("float32", 1.0), ("mixed_float16", size)):
        objective = Objective(network(dtype, times), X, Y)
        accuracy = Accuracy(tolerance=0.01, dense_up_to=2)
        (block,) = measure(objective, objective.layers[:1], accuracy, seed=0)
        found.append(block.spectrum.eigenvalues[0] / times)
    np.testing.assert_allclose(*found, rtol=0.02)


def test_only_float16_has_factors():
    assert [
        len(Objective(network(dtype), X, Y).loss_factors) > 0
        for dtype in ("float32", "mixed_bfloat16", "mixed_float16")
    ] == [False, False, True]


def test_what_is_infinite_at_every_factor_is_told():
    model = network("mixed_float16")
    with pytest.raises(FloatingPointError):
        landscape.curvature(model, X * np.nan, Y)
    assert np.isnan(Objective(model, X * np.nan, Y).loss())
