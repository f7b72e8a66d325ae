"""Changes of gradients, against closed forms and against backpropagation by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.landscape import Objective, gradient_predictiveness, predictiveness
from keras_lcb.runs import schema
from tests.landscape.bowls import gradient, linear
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()
STEPS = [0.01, 0.1, 0.5]
RTOL = 2e-5  # losses are computed in single precision


def test_change_on_a_bowl_is_the_step_times_the_hessian_times_the_gradient():
    model, x, y, hessian = linear()
    found = gradient_predictiveness(model, x, y, step_sizes=STEPS, layers=["line"])
    g = gradient(x, y, model.get_layer("line").get_weights()[0])
    length, change = np.linalg.norm(g), np.linalg.norm(hessian @ g)
    expected = np.array(STEPS) * change
    np.testing.assert_allclose(found.gradient_change[0], expected, rtol=RTOL)
    np.testing.assert_allclose(found.relative_gradient_change[0], expected / length, rtol=RTOL)
    np.testing.assert_allclose(found.smoothness[0], change / length, rtol=RTOL)
    for step, cosine in zip(STEPS, found.gradient_cosine[0].values, strict=True):
        after = g - step * hessian @ g
        exact = np.sum(g * after) / length / np.linalg.norm(after)
        np.testing.assert_allclose(cosine, exact, rtol=RTOL)


@pytest.mark.parametrize("batch_size", [512, 4])
def test_each_layer_moves_alone_and_is_compared_alone(batch_size):
    model = dense(NETWORK)
    model.compile(loss="mse")
    x, y = NETWORK.data(10)
    found = gradient_predictiveness(model, x, y, step_sizes=STEPS, batch_size=batch_size)
    start = NETWORK.weights()
    before = NETWORK.gradients(start, x, y)
    for place, name in enumerate("abc"):
        own = NETWORK.layers[place]
        g = np.concatenate([before[p].ravel() for p in own])
        ratios = []
        for step in STEPS:
            moved = [
                w - step * b if p in own else w
                for p, (w, b) in enumerate(zip(start, before, strict=True))
            ]
            exact = NETWORK.gradients(moved, x, y)
            after = np.concatenate([exact[p].ravel() for p in own])
            at = found.sel(layer=name, step_size=step)
            change = np.linalg.norm(after - g)
            np.testing.assert_allclose(at.gradient_change, change, rtol=1e-3)
            np.testing.assert_allclose(
                at.relative_gradient_change, change / np.linalg.norm(g), rtol=1e-3
            )
            cosine = after @ g / np.linalg.norm(after) / np.linalg.norm(g)
            np.testing.assert_allclose(at.gradient_cosine, cosine, rtol=1e-5)
            ratios.append(change / step / np.linalg.norm(g))
        np.testing.assert_allclose(found.smoothness.sel(layer=name), max(ratios), rtol=1e-3)


def test_a_group_moves_as_one():
    model, x, y, _ = linear()
    found = gradient_predictiveness(model, x, y, step_sizes=[0.1], layers=lambda layer: "both")
    assert found.layer.values.tolist() == ["both"]
    g = gradient(x, y, model.get_layer("line").get_weights()[0])
    w = model.get_layer("line").get_weights()[0].astype("float64")
    slope = np.sum(w * g)  # of the loss with respect to the factor `scale`
    line, scale = w - 0.1 * g, 1 - 0.1 * slope
    after = scale * gradient(x, y, scale * line)
    after_scale = np.sum(line * gradient(x, y, scale * line))
    change = np.sqrt(np.sum((after - g) ** 2) + (after_scale - slope) ** 2)
    np.testing.assert_allclose(found.gradient_change[0, 0], change, rtol=RTOL)


def test_a_layer_without_gradient_is_told_apart():
    model = dense(NETWORK)
    model.compile(loss="mse")
    model.get_layer("c").set_weights([np.zeros((4, 2)), np.zeros(2)])
    x, y = NETWORK.data(6)
    found = gradient_predictiveness(model, x, y, step_sizes=[0.1])
    assert found.gradient_change.sel(layer="a").values.tolist() == [0.0]
    assert np.isnan(found.smoothness.sel(layer="a"))
    assert "zero" in schema.missing(found)["gradient_cosine/a"]
    assert not any(name.endswith("/c") for name in schema.missing(found))


@pytest.mark.parametrize("steps", [[], [0.0, 0.1], [0.1, 0.1], [np.inf], [[0.1]]])
def test_refuses_other_step_sizes(steps):
    model, x, y, _ = linear()
    with pytest.raises(ValueError, match="step_sizes"):
        gradient_predictiveness(model, x, y, step_sizes=steps)


def several_kinds(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5, 3))
    x = keras.layers.Conv1D(4, 2, activation="tanh", name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GRU(3, name="gru")(keras.layers.Dropout(0.3, seed=1)(x))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    model.compile(loss="mse")
    return model


def test_layers_of_many_kinds_are_measured_as_one_by_one(monkeypatch):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(12, 5, 3)), generator.normal(size=(12, 2))
    objective = Objective(several_kinds(), x, y, training=True)
    found = gradient_predictiveness(objective, step_sizes=STEPS)
    for row in objective.layers:
        g = objective.gradients(layer=row)[row.name]
        for step in STEPS:
            moved = [w - step * part for w, part in zip(objective.weights(row), g, strict=True)]
            after = objective.gradients(moved, layer=row)[row.name]
            change = np.sqrt(
                sum(
                    np.sum(np.square(as_numpy(now) - as_numpy(first)))
                    for now, first in zip(after, g, strict=True)
                )
            )
            at = found.gradient_change.sel(layer=row.name, step_size=step)
            np.testing.assert_allclose(at, change, rtol=1e-3)
    monkeypatch.setattr(predictiveness, "_AT_ONCE", 3)
    again = gradient_predictiveness(objective, step_sizes=STEPS)
    for name in ("gradient_change", "gradient_cosine", "smoothness"):
        np.testing.assert_allclose(again[name], found[name], rtol=1e-4)


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")
