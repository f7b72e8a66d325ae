"""Learning rate multipliers as a mapping, and that the training step has what the mapping shows."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import LayerwiseModel
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()
X, Y = NETWORK.data(8)


@pytest.fixture
def model():
    """A model whose training step exists, with the factor 0.5 for its last layer."""
    model = LayerwiseModel.from_model(dense(NETWORK), learning_rate_multipliers={"c": 0.5})
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(X, Y)
    return model


def taken(model):
    """The part that each layer takes of its step, found from one update."""
    before = [w.astype("float64") for w in model.get_weights()]
    model.train_on_batch(X, Y)
    whole = [-0.1 * g for g in NETWORK.gradients(before, X, Y)]
    moved = [a - b for a, b in zip(model.get_weights(), before, strict=True)]
    return [float(np.vdot(m, w) / np.vdot(w, w)) for m, w in zip(moved, whole, strict=True)][::2]


def assert_in_force(model, factors, parts):
    assert dict(model.learning_rate_multipliers) == factors
    np.testing.assert_allclose(taken(model), parts, rtol=1e-3)


@pytest.mark.parametrize("bad", [{"typo": 1.0}, {"b": -1.0}], ids=str)
def test_what_is_refused_changes_nothing(model, bad):
    with pytest.raises(ValueError, match="typo|negative|0 or more"):
        model.learning_rate_multipliers = {"a": 0.0} | bad
    assert_in_force(model, {"c": 0.5}, [1, 1, 0.5])
    with pytest.raises(ValueError, match="typo|negative|0 or more"):
        model.learning_rate_multipliers.update({"a": 0.0} | bad)
    assert_in_force(model, {"c": 0.5}, [1, 1, 0.5])


def test_names_that_are_not_set_are_no_keys(model):
    factors = model.learning_rate_multipliers
    assert factors["a"] == 1.0 and "a" not in factors
    assert factors.get("a") is None and factors.get("typo", 0.3) == 0.3
    assert factors.pop("a", None) is None and factors.pop("typo", 0.3) == 0.3
    for remove in (factors.pop, factors.__delitem__):
        with pytest.raises(KeyError, match="a"):
            remove("a")
    assert_in_force(model, {"c": 0.5}, [1, 1, 0.5])


def test_each_way_to_change_a_factor_reaches_the_step(model):
    factors = model.learning_rate_multipliers
    assert factors.get("c", 1.0) == factors.setdefault("c", 2.0) == 0.5
    assert factors.setdefault("a", 0.25) == 0.25
    factors.update([("b", 2)], c=0.75)
    assert_in_force(model, {"c": 0.75, "a": 0.25, "b": 2.0}, [0.25, 2, 0.75])
    assert factors.pop("b") == 2.0
    del factors["c"]
    assert_in_force(model, {"a": 0.25}, [0.25, 1, 1])
    factors.clear()
    assert_in_force(model, {}, [1, 1, 1])
    model.learning_rate_multipliers = {"b": 0}
    assert_in_force(model, {"b": 0.0}, [1, 0, 1])
