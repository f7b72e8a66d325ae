"""Endpoints that are given: arrays, and files."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb as lcb
from keras_lcb.runs import schema
from tests.callbacks.tiny import close, compiled, dense_rows, train
from tests.plain_copies import PlainCopies, distances


@pytest.fixture
def normalized():
    """A model with weights that do not train, and an optimizer with a past."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4, name="a"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.2, seed=1),
            layers.Dense(2, name="b"),
        ]
    )
    compiled(model, metrics=["mae"])
    train(model, epochs=1)
    return model


NORMALIZED_ROWS = {**dense_rows("a"), "norm": ["norm/gamma", "norm/beta"], **dense_rows("b")}


@pytest.mark.parametrize("given", ["all weights", "trainable weights", "weights.h5", "keras"])
def test_a_given_endpoint(given, normalized, tmp_path):
    model = normalized
    start = model.get_weights()
    random = np.random.default_rng(1)
    endpoint = [w + random.normal(size=w.shape).astype("float32") for w in start]
    reference = endpoint
    if given == "trainable weights":
        trains = {id(v) for v in model.trainable_variables}
        reference = [w for v, w in zip(model.weights, endpoint, strict=True) if id(v) in trains]
    elif given != "all weights":
        model.set_weights(endpoint)
        reference = tmp_path / f"there.{given}"
        (model.save_weights if given == "weights.h5" else model.save)(reference)
        model.set_weights(start)

    state = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in state]
    convergence, plain = lcb.LayerConvergence(reference=reference), PlainCopies()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        convergence.set_model(model)
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)

    train(model, convergence, plain)
    run = convergence.results
    expected = distances(model, plain.taken, NORMALIZED_ROWS, endpoint=endpoint)
    close(run.distance, expected)
    close(run.normalized_distance, expected / expected[0])
    wanted = "arrays" if isinstance(reference, list) else str(reference)
    assert run.attrs["reference"] == wanted
    no_kernel = "The layer has no kernel to compare."
    assert schema.missing(run) == {"angle/norm": no_kernel, "angle_to_end/norm": no_kernel}


def test_an_endpoint_given_for_what_trains_leaves_frozen_layers_out(normalized):
    normalized.get_layer("a").trainable = False
    compiled(normalized)
    given = [keras.ops.convert_to_numpy(v) + 1 for v in normalized.trainable_variables]
    convergence = lcb.LayerConvergence(reference=given)
    train(normalized, convergence, epochs=1)
    run = convergence.results
    assert np.isnan(run.distance.sel(layer="a")).all()
    assert "does not hold" in schema.missing(run)["distance/a"]
    assert (run.distance.sel(layer="b") > 0).all()


def test_references_that_do_not_fit_are_refused_before_training(normalized, tmp_path):
    weights = normalized.get_weights()
    other = keras.Sequential([keras.Input((6,)), layers.Dense(9, name="a"), layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "text.weights.h5").write_text("no weights")
    (tmp_path / "text.txt").write_text("no weights")
    for reference, problem in [
        (weights[:3], "holds 3 arrays, but the model .* has 8 weights"),
        ([np.zeros(5), *weights[1:]], r"a/kernel' must have shape \(6, 4\); received \(5,\)"),
        (7, "'final', 'model', a list of arrays, or the path .* received int"),
        (tmp_path / "other.weights.h5", "could not be read as weights of the model.*[^:]$"),
        (tmp_path / "text.weights.h5", "could not be read as weights of the model"),
        (tmp_path / "text.txt", "could not be read as weights of the model"),
    ]:
        with pytest.raises(ValueError, match=problem):
            lcb.LayerConvergence(reference=reference).set_model(normalized)
    with pytest.raises(FileNotFoundError, match="'finel', which does not exist. Pass 'final'"):
        lcb.LayerConvergence(reference="finel").set_model(normalized)
    for now, before in zip(normalized.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


class Rich(keras.Model):
    """A model that holds what Keras saves with it: optimizers, a metric, adapted statistics."""

    def __init__(self):
        super().__init__()
        self.norm = layers.Normalization(name="norm")
        self.a, self.b = layers.Dense(4, name="a"), layers.Dense(2, name="b")
        self.others = {"b": [keras.optimizers.Adam(0.01)], "unbuilt": keras.optimizers.SGD(0.1)}
        self.seen = keras.metrics.Mean(name="seen")

    def call(self, x):
        return self.b(self.a(self.norm(x)))


def rich(scale):
    """Builds such a model whose state depends on the scale everywhere."""
    keras.utils.set_random_seed(3)
    model = Rich()
    x = scale * np.arange(12, dtype="float32").reshape(2, 6)
    model.norm.adapt(x)
    model(x)
    compiled(model)
    model.others["b"][0].build(model.b.trainable_variables)
    model.optimizer.build(model.a.trainable_variables)
    for optimizer in (model.optimizer, model.others["b"][0]):
        optimizer.iterations.assign(10 * scale)
    model.seen.update_state(float(scale))
    return model, x


def test_a_file_leaves_everything_in_the_model_as_it_was(tmp_path):
    other, x = rich(scale=2)
    kernel = keras.ops.convert_to_numpy(other.a.kernel) + 1
    other.a.kernel.assign(kernel)
    other.others["unbuilt"].build(other.b.trainable_variables)
    other.save_weights(tmp_path / "there.weights.h5")

    model, _ = rich(scale=1)
    optimizer = model.others["b"][0]
    state = [
        *model.variables,
        *model.optimizer.variables,
        *optimizer.variables,
        *model.seen.variables,
    ]
    before = [keras.ops.convert_to_numpy(variable) for variable in state]
    outputs = keras.ops.convert_to_numpy(model(x))
    convergence = lcb.LayerConvergence(reference=tmp_path / "there.weights.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        convergence.set_model(model)
    for variable, value in zip(state, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value, variable.path)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), outputs)
    assert not model.others["unbuilt"].built
    distance = convergence.measure()["distance"]
    close(distance, [np.sqrt(kernel.size), 0.0])


def test_a_file_leaves_adapters_as_they_were(tmp_path):
    model = compiled(keras.Sequential([keras.Input((6,)), layers.Dense(2, name="a")]))
    model.get_layer("a").enable_lora(2)
    model.get_layer("a").lora_kernel_b.assign(np.ones((2, 2)))
    before = model.get_weights()
    model.save_weights(tmp_path / "there.weights.h5")
    lcb.LayerConvergence(reference=tmp_path / "there.weights.h5").set_model(model)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
