"""Changes of gradients, against closed forms and against backpropagation by hand."""

from __future__ import annotations

import numpy as np
import pytest

from keras_lcb.landscape import gradient_predictiveness
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
