"""The largest stable learning rate, on bowls where theory is exact, and against steps by hand."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_lcb.landscape import Objective, largest_stable_learning_rate, stability
from keras_lcb.landscape.stability import bracket
from keras_lcb.runs import schema
from tests.landscape.bowls import linear
from tests.models import dense
from tests.oracle import Network

NETWORK = Network(sizes=(2, 3, 1))


def test_on_a_bowl_it_is_what_theory_says():
    model, x, y, hessian = linear()
    values, vectors = np.linalg.eigh(hessian)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    model.get_layer("line").set_weights([best + 0.5 * vectors[:, -1:]])
    found = largest_stable_learning_rate(model, x, y, layers=["line"]).isel(layer=0)
    np.testing.assert_allclose(found.theory, 2 / values[-1], rtol=1e-5)
    np.testing.assert_allclose(found.learning_rate, 2 / values[-1], rtol=0.02)
    assert found.lower <= 2 / values[-1] * 1.001 and found.upper >= 2 / values[-1] * 0.999
    assert found.upper <= 1.01 * found.lower


def test_from_any_other_start_it_comes_down_to_theory():
    model, x, y, hessian = linear()
    values, vectors = np.linalg.eigh(hessian)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    start = best + vectors[:, :1] + 0.01 * vectors[:, -1:]
    model.get_layer("line").set_weights([start])
    objective = Objective(model, x, y)
    rates = [
        float(
            largest_stable_learning_rate(
                objective, layers=["line"], steps=n, theory=False
            ).learning_rate[0]
        )
        for n in (5, 20, 80)
    ]
    assert rates[0] > rates[1] > rates[2] > 0.999 * 2 / values[-1]
    assert rates[2] < 1.1 * 2 / values[-1] < rates[0]


def descends(weights, places, rate, steps, x, y):
    """Whether the loss ends below its start and no step of the second half raises it."""
    losses = [NETWORK.loss(weights, x, y)]
    for _ in range(steps):
        gradients = NETWORK.gradients(weights, x, y)
        weights = [
            w - rate * g if place in places else w
            for place, (w, g) in enumerate(zip(weights, gradients, strict=True))
        ]
        losses.append(NETWORK.loss(weights, x, y))
    return losses[-1] < losses[0] and np.diff(losses[steps // 2 :]).max() <= 0


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("batch_size", [512, 5])
def test_against_steps_by_hand(batch_size, slow, monkeypatch):
    monkeypatch.setattr(stability.ops, "loops_are_slow", lambda: slow)
    model = dense(NETWORK)
    model.compile("adam", "mse")
    x, y = NETWORK.data(10)
    found = largest_stable_learning_rate(
        model, x, y, steps=10, tolerance=0.05, theory=False, batch_size=batch_size
    )
    assert found.layer.values.tolist() == ["a", "b"]
    for place, name in enumerate("ab"):
        at, places = found.sel(layer=name), NETWORK.layers[place]
        assert descends(NETWORK.weights(), places, float(at.lower), 10, x, y)
        assert not descends(NETWORK.weights(), places, float(at.upper), 10, x, y)
        assert at.lower <= at.learning_rate <= at.upper <= 1.05 * at.lower
    assert np.isnan(found.theory).all() and "Not measured" in schema.missing(found)["theory"]


def test_a_loss_that_swings_without_end_is_unstable_whatever_the_number_of_steps():
    line = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="line")
    model = keras.Sequential([keras.Input((1,)), line])
    # Minima at -1 and 1, with a curvature of 8. Rates above 2 / 8 swing around one of them.
    model.compile(loss=lambda y, w: keras.ops.mean((w**2 - y) ** 2, axis=-1))
    line.set_weights([np.full((1, 1), 1.2)])
    objective = Objective(model, np.ones((1, 1)), np.ones((1, 1)))
    rates = [
        float(largest_stable_learning_rate(objective, steps=n, theory=False).learning_rate[0])
        for n in (200, 201)
    ]
    np.testing.assert_allclose(rates, 0.25, rtol=0.03)


def test_what_has_no_limit_is_said(monkeypatch):
    monkeypatch.setattr(stability, "_largest_eigenvalues", lambda *_: [-1.0, 0.0])
    model = dense(NETWORK)
    model.compile(loss="mse")
    x, y = NETWORK.data(10)
    model.get_layer("b").set_weights([np.zeros((3, 1)), np.zeros(1)])  # `a` has no gradient
    found = largest_stable_learning_rate(model, x, y, steps=3, tolerance=0.2)
    missing = schema.missing(found)
    assert np.isnan(found.theory).all() and "not positive" in missing["theory/b"]
    at = found.sel(layer="a")
    assert np.isinf(at.upper) and np.isnan(at.learning_rate)
    assert "did not rise" in missing["learning_rate/a"]
    assert np.isfinite(found.learning_rate.sel(layer="b"))


@pytest.mark.parametrize("theory", [False, True])
def test_a_gradient_too_small_to_lower_the_loss_makes_no_rate_unstable(theory):
    """The first rate of the search leaves the loss as it is, and so would all smaller ones."""
    model, x, y, hessian = linear()
    model.get_layer("scale").set_weights([np.full((1, 1), 1e-5)])
    found = largest_stable_learning_rate(model, x, y, layers=["line"], theory=theory).isel(layer=0)
    if theory:
        np.testing.assert_allclose(found.theory, 2e10 / np.linalg.eigvalsh(hessian)[-1], rtol=1e-4)
        assert found.upper >= found.theory
    else:
        assert np.isinf(found.upper) and found.lower > 1e3


def test_a_loss_that_rises_at_every_rate_is_said(monkeypatch):
    losses = np.array([1.0, 2.0, 1.0])
    monkeypatch.setattr(stability, "_losses", lambda *_: losses)
    monkeypatch.setattr(stability, "_losses_from_host", lambda *_: losses)
    model, x, y, _ = linear()
    found = largest_stable_learning_rate(model, x, y, layers=["line"], theory=False)
    assert found.lower == 0 and np.isnan(found.learning_rate)
    assert "rose at every" in schema.missing(found)["learning_rate/line"]


@given(limit=st.floats(1e-3, 1e3), start=st.floats(1e-1, 1e1), tolerance=st.floats(0.005, 0.5))
def test_bracket_encloses_the_limit(limit, start, tolerance):
    lower, upper = bracket(lambda rate: rate < limit, start, tolerance)
    assert lower < limit <= upper <= (1 + tolerance) * lower


def test_bracket_without_an_end():
    lower, upper = bracket(lambda rate: True, 1.0, 0.01)
    assert math.isinf(upper) and lower > 1e4
    lower, upper = bracket(lambda rate: False, 1.0, 0.01)
    assert lower == 0 and upper < 1e-4


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"tolerance": 0.0}, {"tolerance": 1.0}])
def test_refusals(wrong):
    model, x, y, _ = linear()
    with pytest.raises(ValueError, match="`(steps|tolerance)` must be"):
        largest_stable_learning_rate(model, x, y, **wrong)
