"""Nothing of a model, or of what draws at random, is changed by looking at its landscape."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from keras import layers

from keras_lcb import landscape

# What looks, with which options, and how far its progress bar counts.
LOOKS = {
    "curvature": (landscape.curvature, {"layers": ["a", "(all)"], "trace_samples": 2}, "2/2"),
    "predictiveness": (landscape.gradient_predictiveness, {"step_sizes": [0.1]}, "1/1"),
    "filter curvature": (landscape.filter_curvature, {"directions": 2}, "2/2"),
    "slice": (landscape.loss_slice, {"directions": 1, "points": 3}, "1/1"),
    "rate": (
        landscape.largest_stable_learning_rate,
        {"steps": 2, "tolerance": 0.5, "theory": False},
        "3/3",
    ),
}


@pytest.fixture(scope="module")
def trained():
    """A model with state of every kind, which has trained, and its data."""
    keras.utils.set_random_seed(0)
    start = keras.Input((3,))
    end = layers.BatchNormalization(name="norm")(layers.Dense(16, "tanh", name="a")(start))
    model = keras.Model(start, layers.Dense(1, name="b")(layers.Dropout(0.3, name="drop")(end)))
    model.compile(keras.optimizers.Adam(use_ema=True), "mse", metrics=["mae"])
    x, y = np.random.default_rng(0).normal(size=(8, 3)), np.zeros((8, 1))
    model.fit(x, y, verbose=0)
    return model, x, y


def everything(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def draws():
    """Of each generator that layers, Keras, the backend or data may draw from."""
    drawn = [keras.random.normal((3,)), np.random.random(3), random.random()]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        drawn.append(tf.random.normal((3,)))
    if keras.backend.backend() == "torch":
        import torch

        drawn.append(torch.rand(3))
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(part)) for part in drawn])


@pytest.mark.parametrize("name", LOOKS)
def test_nothing_is_changed(trained, name, capsys):
    model, x, y = trained
    look, options, counted = LOOKS[name]
    names = {*vars(model), "_tracked_layers"}  # where layers are in the model, kept to be quick
    before, compiled = everything(model), model._compile_loss
    keras.utils.set_random_seed(5)
    untouched = draws()
    keras.utils.set_random_seed(5)
    # In training mode there is more that could change: moving statistics, and what draws masks.
    look(model, x, y, training=True, progress=True, **options)
    np.testing.assert_array_equal(draws(), untouched)
    for one, other in zip(before, everything(model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(vars(model)) <= names and model._compile_loss is compiled
    assert counted in capsys.readouterr().out


def test_training_goes_on_as_it_would_have(trained):
    model, x, y = trained
    start = [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]
    ends = []
    for looks in (False, True):
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        keras.utils.set_random_seed(7)
        model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
        if looks:
            landscape.gradient_predictiveness(model, x, y, step_sizes=[0.1], training=True)
        history = model.fit(x, y, verbose=0, shuffle=False).history
        assert sorted(history) == ["loss", "mae"]
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
