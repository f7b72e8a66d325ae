"""An experiment is what its settings say, and nothing else."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_lcb.runs import schema
from keras_lcb.synthetic import Config, Function, SineSum, Square, experiment, run

SMALL = Config(
    target=SineSum([(1, 1.0, 0.0), (3, 0.3, 0.0)], noise=0.1),
    **{"depth": 3, "width": 8, "points": 64, "batch_size": 24, "updates": 60, "record_every": 20},
)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"residual": False, "optimizer": "adam", "periodic": True, "normalization": "batch"},
    ],
)
def test_equal_settings_give_equal_numbers(options):
    config = dataclasses.replace(SMALL, **options)
    first = run(config)
    keras.utils.set_random_seed(7)  # what else happens in the process has no say
    np.random.default_rng().normal()
    second = run(config)
    assert first.drop_vars("wall_time").identical(second.drop_vars("wall_time"))
    other = run(dataclasses.replace(config, seed=1))
    assert not np.allclose(first.distance, other.distance)


def test_a_run_holds_what_was_asked_for():
    result = run(SMALL)
    assert result.step.values.tolist() == [0, 20, 40, 60]
    assert result.layer.values.tolist() == ["layer_0", "layer_1", "layer_2", "readout"]
    assert {"distance", "gradient_norm", "frequency_share", "frequency_error", "loss"} <= set(
        result.data_vars
    )
    assert result.attrs["seed"] == 0
    assert result.attrs["optimizer"] == "SGD"
    assert Config.from_json(json.dumps(schema.settings(result)["Config"])) == SMALL
    assert result.loss.values[-1] < result.loss.values[1]


@pytest.mark.parametrize("record_every", [20, 15], ids=["even", "odd"])
def test_training_is_that_of_a_plain_loop_over_the_same_batches(record_every):
    config = dataclasses.replace(SMALL, record_every=record_every)
    result = run(config)
    compiled = experiment.compiled_model(config)
    model = keras.Model(compiled.inputs, compiled.outputs)  # with Keras' own training step
    model.compile(keras.optimizers.SGD(0.005, momentum=0.9), "mse")
    grid = SMALL.target.grid(64)
    values = SMALL.target(grid)
    start = model.layers[1].get_weights()[0]
    losses = []
    for chosen in experiment.batch_order(SMALL):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(grid[chosen], values[chosen])))
    means = np.reshape(losses, (-1, record_every)).mean(axis=1)
    np.testing.assert_allclose(result.loss.values[1:], means, rtol=1e-5)
    moved = np.linalg.norm(
        np.concatenate([v.ravel() for v in model.layers[1].get_weights()])
        - np.concatenate([start.ravel(), np.zeros(8)])
    )
    np.testing.assert_allclose(result.distance.sel(layer="layer_0", step=0), moved, rtol=1e-4)


def test_every_point_comes_once_before_any_comes_again():
    order = experiment.batch_order(SMALL).ravel()
    for first in range(0, len(order) - 64, 64):
        assert sorted(order[first : first + 64]) == list(range(64))
    assert not np.array_equal(order[:64], order[64:128])


def test_what_is_recorded_can_be_followed():
    seen = []
    last = run(SMALL, on_record=seen.append)
    assert [int(part.step[-1]) for part in seen] == [20, 40, 60]
    assert [part.attrs["provisional"] for part in seen] == [1, 1, 1]
    assert last.attrs["provisional"] == 0


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        Config(target=Square(2), branch_scale=1.0, normalization="layer", optimizer="adam"),
    ],
)
def test_settings_go_through_json(config):
    assert Config.from_json(config.to_json()) == config


def test_a_function_is_trained_on_but_does_not_come_back_from_json():
    config = dataclasses.replace(SMALL, target=Function(np.tanh))
    assert run(config).sizes["frequency"] == 5
    with pytest.raises(ValueError, match="not kept in JSON"):
        Config.from_json(config.to_json())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": np.sin}, "Function"),
        ({"depth": 65}, "depth"),
        ({"width": 0}, "width"),
        ({"activation": "rele"}, "rele"),
        ({"initializer": "glorot"}, "glorot"),
        ({"normalization": "group"}, "normalization"),
        ({"branch_scale": -1.0}, "branch_scale"),
        ({"points": 6}, "Nyquist"),
        ({"points": 64.0}, "points"),
        ({"batch_size": 65}, "points=64"),
        ({"updates": 50}, "multiple"),
        ({"record_every": 0}, "record_every"),
        ({"optimizer": "adamm"}, "adamm"),
        ({"learning_rate": np.float32(0.1)}, "`learning_rate` must consist of text"),
        ({"optimizer": keras.optimizers.SGD()}, "`optimizer` must consist of text"),
        ({"activation": keras.activations.gelu}, "`activation` must consist of text"),
        ({"initializer": keras.initializers.HeNormal()}, "`initializer` must consist of text"),
        ({"residual": "false"}, "`residual` must be True or False; received 'false'"),
        ({"branch_scale": np.float32(1.0)}, "`branch_scale` must consist of text"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": "abc"}, "learning_rate.*'abc'"),
        ({"momentum": 1.0}, "momentum"),
        ({"seed": -1}, "seed"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **options)


@pytest.mark.parametrize("text", ["[]", '{"deepth": 3}', '{"target": {"kind": "Sine"}}', "{"])
def test_foreign_settings_are_refused(text):
    with pytest.raises(ValueError):
        Config.from_json(text)
