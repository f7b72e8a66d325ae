"""Curvature along filter-normalized directions, against Hessians that are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.landscape import Objective, curvature, filter_curvature, loss_slice
from keras_lcb.runs import schema
from tests.landscape.bowls import linear


def regression(outputs=3, inputs=4, samples=10, seed=0):
    """A layer with several outputs under the mean squared error, and data."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, inputs)).astype("float32")
    y = random.normal(size=(samples, outputs)).astype("float32")
    start = keras.Input((inputs,))
    model = keras.Model(start, keras.layers.Dense(outputs, name="map")(start))
    model.compile(loss="mse")
    weights = [random.normal(size=v.shape).astype("float32") for v in model.weights]
    model.get_layer("map").set_weights(weights)
    return model, x, y, weights[0]


def test_it_estimates_the_sum_over_filters_of_norm_and_mean_curvature():
    """The mean over 3 outputs makes each filter's block 2xᵀx / (3n), whatever the weights."""
    model, x, y, kernel = regression()
    trace = np.trace(2 * x.T @ x / (3 * len(x)))
    expected = (kernel**2).sum() * trace / len(kernel)
    found = filter_curvature(model, x, y, directions=200, layers=["map"])
    error = found.filter_curvature_standard_error.item()
    assert 0.005 * expected < error < 0.1 * expected
    assert abs(found.filter_curvature.item() - expected) < 3.5 * error


def test_a_direction_has_the_second_derivative_of_its_slice():
    """The loss is quadratic, so that three points of a slice give it exactly."""
    model, x, y, _ = regression(seed=1)
    found = filter_curvature(model, x, y, directions=2, seed=3)
    lines = loss_slice(model, x, y, layer="map", directions=2, points=3, seed=3).loss
    second = lines[:, 0] - 2 * lines[:, 1] + lines[:, 2]
    np.testing.assert_allclose(found.filter_curvature, [second.mean()], rtol=1e-4)
    error = second.std(ddof=1) / 2**0.5
    np.testing.assert_allclose(found.filter_curvature_standard_error, [error], rtol=1e-3)
    assert found.attrs["mode"] == "evaluation"
    assert schema.settings(found)["filter_curvature"]["directions"] == 2


def test_rescaling_filters_changes_nothing():
    """A ReLU layer's filters times 10, and what reads them divided by 10."""
    keras.utils.set_random_seed(0)
    start = keras.Input((3,))
    hidden = keras.layers.Dense(5, "relu", name="hidden")(start)
    model = keras.Model(start, keras.layers.Dense(2, name="out")(hidden))
    model.compile(loss="mse")
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3)).astype("float32")
    before = filter_curvature(model, x, y[:, :2], layers=["hidden"]).filter_curvature
    kernel, bias = model.get_layer("hidden").get_weights()
    scale = np.array([10, 0.1, 3, 1, 7], "float32")
    model.get_layer("hidden").set_weights([kernel * scale, bias * scale])
    kernel, bias = model.get_layer("out").get_weights()
    model.get_layer("out").set_weights([kernel / scale[:, None], bias])
    after = filter_curvature(model, x, y[:, :2], layers=["hidden"]).filter_curvature
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_filters_of_one_number_are_left_out():
    model, x, y, _ = linear()
    found = filter_curvature(model, x, y, directions=2)
    assert np.isfinite(found.filter_curvature).values.tolist() == [True, False]
    assert "no filters to compare" in schema.missing(found)["filter_curvature/scale"]
    assert np.isnan(filter_curvature(model, x, y, layers=["scale"]).filter_curvature).all()
    with pytest.raises(ValueError, match="no filters to move"):
        loss_slice(model, x, y, layer="scale")


class PatchEmbedding(keras.layers.Dense):
    """A layer whose name says nothing of its filters."""


def test_filters_do_not_depend_on_the_name_of_the_class():
    model, x, y, kernel = regression()
    found = []
    for kind in (keras.layers.Dense, PatchEmbedding):
        named = keras.Sequential([keras.Input((4,)), kind(3, name="map")])
        named.compile(loss="mse")
        named.set_weights(model.get_weights())
        found.append(filter_curvature(named, x, y, directions=2).filter_curvature.item())
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.parametrize("look", [filter_curvature, curvature])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_derivatives_that_are_not_finite_are_an_error(look, bad):
    model, x, y, _ = regression()
    x[0, 0] = bad
    with pytest.raises(FloatingPointError, match="data contain NaN"):
        look(model, x, y)


def test_what_is_refused():
    model, x, y, _ = regression()
    with pytest.raises(ValueError, match="2 or more"):
        filter_curvature(model, x, y, directions=1)
    with pytest.raises(ValueError, match="No layer or nested model is called 'z'"):
        filter_curvature(Objective(model, x, y), layers=["z"])
