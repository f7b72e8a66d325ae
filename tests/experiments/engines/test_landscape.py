"""The callbacks record what the functions of `landscape` return for the model at that moment."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from keras_lcb import landscape, synthetic, vision
from keras_lcb.experiments.engines import landscape as engine
from keras_lcb.landscape.objective import Objective


def test_a_probe_measures_what_the_functions_do():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh", name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="b")(hidden))
    model.compile("sgd", "mse")
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3)).astype("float32")
    y = y[:, :1]
    found = engine.measure(Objective(model, x, y), 0, steps=5, tolerance=0.5)
    eigenvalue = landscape.curvature(model, x, y, layers=["a", "b"]).eigenvalue
    np.testing.assert_allclose(found.eigenvalue, eigenvalue, rtol=0.02)
    np.testing.assert_allclose(found.theory, 2 / found.eigenvalue[:, 0], rtol=0.02)
    lines = landscape.loss_slice(model, x, y, layer="a", span=0.5, points=3).loss
    rise = float(lines[:, [0, 2]].mean() - lines[0, 1])
    assert float(found.slice_rise.sel(layer="a")) == pytest.approx(rise, rel=1e-4)


def test_what_has_diverged_has_no_landscape():
    config = synthetic.Config(
        depth=2, width=4, points=64, batch_size=32, updates=20, record_every=1, learning_rate=1e30
    )
    with pytest.raises(ValueError, match="diverged"):
        engine.functions(config)


@pytest.mark.parametrize("kind", ["images", "functions"])
def test_it_is_measured_at_three_moments(kind, monkeypatch):
    monkeypatch.setattr(engine, "STEPS", 2)
    monkeypatch.setattr(engine.measure, "__kwdefaults__", {"steps": 2, "tolerance": 0.9})
    if kind == "images":
        config = vision.Config(depth=2, width=2, updates=20, record_every=1)
    else:
        config = synthetic.Config(
            depth=2, width=4, points=64, batch_size=32, updates=20, record_every=1
        )
    run = getattr(engine, kind)(config)
    measured = run.step[run.smoothness.notnull().any("layer")].values.tolist()
    assert measured == [1, 8, 20]
    late = engine.at_moment(run, "relative_gradient_change", "late")
    assert late.dims == ("layer",) and not math.isnan(float(late[0]))
    same = run.relative_gradient_change.sel(step=20, step_size=engine.STEP_SIZE)
    np.testing.assert_array_equal(late, same)
