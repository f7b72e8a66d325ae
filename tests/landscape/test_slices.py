"""Slices of the loss, against the loss of a network computed by hand where it is moved to."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.landscape import loss_slice
from keras_lcb.landscape.filters import random_direction
from keras_lcb.landscape.objective import Objective
from keras_lcb.runs import schema
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()


@pytest.fixture
def model():
    model = dense(NETWORK)
    model.compile("adam", "mse")
    return model


def drawn(model, x, y, layer, count, seed):
    objective = Objective(model, x, y)
    row = objective.row(layer)
    random = np.random.default_rng(seed)
    weights = [keras.ops.convert_to_numpy(w) for w in objective.weights(row)]
    return [random_direction(row, weights, random) for _ in range(count)]


@pytest.mark.parametrize("layer, first", [("b", 2), (None, 0)])
def test_lines_within_a_layer_and_all(model, layer, first):
    x, y = NETWORK.data(10)
    found = loss_slice(model, x, y, layer=layer, directions=2, span=0.5, points=5, seed=3)
    assert found.loss.dims == ("direction", "alpha")
    assert found.alpha.values.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    for place, direction in enumerate(drawn(model, x, y, layer, 2, 3)):
        for alpha, loss in zip(found.alpha.values, found.loss[place].values, strict=True):
            weights = NETWORK.weights()
            for offset, part in enumerate(direction):
                weights[first + offset] = weights[first + offset] + alpha * part
            np.testing.assert_allclose(loss, NETWORK.loss(weights, x, y), rtol=1e-5)
    assert schema.settings(found)["loss_slice"]["layer"] == (layer or "(all)")


def test_plane_of_two_directions(model):
    x, y = NETWORK.data(10)
    found = loss_slice(model, x, y, layer="a", directions="plane", points=3, batch_size=4)
    assert found.loss.dims == ("alpha", "beta")
    one, other = drawn(model, x, y, "a", 2, 0)
    for alpha in (-1, 0, 1):
        for beta in (-1, 0, 1):
            weights = NETWORK.weights()
            for place in (0, 1):
                weights[place] = weights[place] + alpha * one[place] + beta * other[place]
            loss = found.loss.sel(alpha=alpha, beta=beta)
            np.testing.assert_allclose(loss, NETWORK.loss(weights, x, y), rtol=1e-5)


def test_the_scale_of_relu_filters_makes_no_difference():
    def relu(factor):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        hidden = keras.layers.Dense(6, activation="relu", use_bias=False, name="hidden")
        model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(hidden(inputs)))
        model.compile(loss="mse")
        first, second = model.get_weights()
        model.set_weights([first * factor, second / factor[:, None]])
        return model

    x, y = NETWORK.data(10)
    plain = loss_slice(relu(np.ones(6)), x, y[:, :1], layer="hidden", directions=2, points=5)
    scaled = loss_slice(
        relu(2.0 ** np.arange(6)), x, y[:, :1], layer="hidden", directions=2, points=5
    )
    np.testing.assert_allclose(plain.loss, scaled.loss, rtol=1e-4)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"directions": 0}, "directions"),
        ({"directions": "planes"}, "'plane'"),
        ({"points": 4}, "odd"),
        ({"span": 0.0}, "span"),
        ({"layer": "d"}, "No layer or nested model is called 'd'"),
    ],
)
def test_refusals(model, wrong, said):
    x, y = NETWORK.data(6)
    with pytest.raises(ValueError, match=said):
        loss_slice(model, x, y, **wrong)


def test_a_layer_without_filters_is_refused():
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2)(keras.layers.BatchNormalization(name="norm")(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="no filters"):
        loss_slice(model, *NETWORK.data(6), layer="norm")
