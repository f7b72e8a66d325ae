from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_lcb import experiments
from keras_lcb.runs import schema
from keras_lcb.vision import Config, run

TINY = Config(depth=2, width=4, updates=6, record_every=3)


@pytest.fixture(scope="module")
def recorded():
    return run(TINY)


def test_a_run_has_its_settings_and_every_layer(recorded):
    assert recorded.step.values.tolist() == [0, 3, 6]
    assert recorded.layer.values.tolist() == ["conv_0", "conv_1", "head"]
    assert {"distance", "gradient_norm", "loss"} <= set(recorded.data_vars)
    assert Config.from_json(json.dumps(schema.settings(recorded)["Config"])) == TINY
    assert recorded.attrs["seed"] == 0


def test_the_same_settings_give_the_same_numbers(recorded):
    again = run(TINY)
    for name in ("distance", "gradient_norm", "loss"):
        np.testing.assert_array_equal(again[name], recorded[name])


def test_another_seed_gives_others(recorded):
    other = run(dataclasses.replace(TINY, seed=1))
    assert not np.array_equal(other["distance"], recorded["distance"])


def test_other_callbacks_join_the_run():
    class Seen(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1

    seen = Seen()
    run(TINY, [seen])
    assert seen.epochs == 2


def test_a_study_runs_it(tmp_path):
    grid = {"optimizer,learning_rate": (("sgd", 0.1), ("adam", 0.001))}
    study = experiments.Study("keras_lcb.vision:run", TINY, grid, [0])
    results = experiments.run(study, tmp_path, jobs=1, progress=False)
    assert not results.failures
    assert [run.attrs["optimizer"] for run in results.runs.values()] == ["SGD", "Adam"]


@pytest.mark.parametrize(
    "setting, value",
    [
        ("depth", 0),
        ("updates", 7),
        ("seed", -1),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("optimizer", "no such"),
    ],
)
def test_what_is_out_of_range_is_refused(setting, value):
    with pytest.raises(ValueError, match=setting if setting != "optimizer" else "no such"):
        dataclasses.replace(TINY, **{setting: value})


def test_text_that_is_no_config_is_refused():
    with pytest.raises(ValueError, match="These are no settings"):
        Config.from_json('{"colour": 1}')
