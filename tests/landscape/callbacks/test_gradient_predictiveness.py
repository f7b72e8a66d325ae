"""Predictiveness along training, against the function at the weights of each record."""

from __future__ import annotations

import copy

import keras
import numpy as np
import pytest

import keras_lcb
from keras_lcb.landscape import gradient_predictiveness
from keras_lcb.landscape.callbacks.gradient_predictiveness import GradientPredictiveness
from keras_lcb.runs import schema
from tests.callbacks.tiny import compiled, data, dense, train
from tests.plain_copies import PlainCopies

STEPS = [0.01, 0.1]
QUANTITIES = ("gradient_change", "relative_gradient_change", "gradient_cosine", "smoothness")


def test_records_what_the_function_finds_at_each_epoch():
    model = compiled(dense("a", "b"))
    x, y = data(count=6)
    callback, copies = GradientPredictiveness(x, y, step_sizes=STEPS), PlainCopies()
    train(model, callback, copies, epochs=2)
    run = callback.results
    assert run.step.values.tolist() == [0, 2, 4]
    assert run.layer.values.tolist() == ["a", "b"]
    for place, weights in enumerate(copies.taken):
        model.set_weights(weights)
        expected = gradient_predictiveness(model, x, y, step_sizes=STEPS)
        for name in QUANTITIES:
            np.testing.assert_allclose(run[name][place], expected[name], rtol=1e-4, err_msg=name)
    assert schema.settings(run)["GradientPredictiveness"]["samples"] == 6


def test_training_goes_on_as_without_it_and_the_model_bears_no_trace():
    x, y = data(count=4)
    weights = []
    for callbacks in ([], [GradientPredictiveness(x, y, every=1, step_sizes=STEPS)]):
        model = compiled(dense("a", "b"), metrics=["mae"])
        names = set(vars(model))
        train(model, *callbacks, epochs=2)
        weights.append([keras.ops.convert_to_numpy(v) for v in model.variables])
        kept = set(vars(model)) - names
    assert callbacks[0].results.step.values.tolist() == [0, 1, 2, 3, 4]
    assert not [name for name in kept if "objective" in name.lower()]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compiles_once_for_several_fits_and_anew_after_freezing():
    model = compiled(dense("a", "b"))
    callback = GradientPredictiveness(*data(count=4), step_sizes=[0.1])
    train(model, callback, epochs=1)
    objective = callback._objective
    train(model, callback, epochs=1)
    assert callback._objective is objective
    model.get_layer("a").trainable = False
    compiled(model)
    train(model, callback, epochs=1)
    run = callback.results
    assert np.isnan(run.smoothness.sel(layer="a")[-1]) and run.smoothness.sel(layer="a")[0] > 0
    assert np.isfinite(run.smoothness.sel(layer="b")).all()
    assert "frozen" in schema.missing(run)["smoothness/a"]


def test_collects_with_others_and_can_be_copied():
    model = compiled(dense("a", "b"))
    callback = GradientPredictiveness(*data(count=4), step_sizes=STEPS)
    norms = keras_lcb.GradientNorms()
    train(model, callback, norms, epochs=1)
    run = keras_lcb.collect(norms, callback)
    assert run.gradient_cosine.dims == ("step", "layer", "step_size")
    assert "gradient_norm" in run
    twin = copy.copy(callback)
    assert twin.results.identical(callback.results)
    twin.reset()
    train(model, twin, epochs=1)
    assert twin.results.sizes["step"] == 2


def test_takes_a_data_set_and_a_loss():
    x, y = data(count=6)
    batches = iter([(x[:4], y[:4]), (x[4:], y[4:])])
    callback = GradientPredictiveness(batches, step_sizes=STEPS, steps=2, loss="mae")
    model = compiled(dense("a", "b"))
    train(model, callback, epochs=1)
    model.compile(loss="mae")
    expected = gradient_predictiveness(model, x, y, step_sizes=STEPS)
    run = callback.results
    np.testing.assert_allclose(run.gradient_change[-1], expected.gradient_change, 1e-4, 1e-6)
    settings = schema.settings(run)["GradientPredictiveness"]
    assert settings["samples"] == 6 and settings["measured_loss"] == "mae"


def test_refusals():
    x, y = data(count=4)
    with pytest.raises(ValueError, match="ascend"):
        GradientPredictiveness(x, y, step_sizes=[0.1, 0.01])
    with pytest.raises(ValueError, match="x 4, y 3"):
        train(compiled(dense("a")), GradientPredictiveness(x, y[:3]), epochs=1)
