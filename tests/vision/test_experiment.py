from __future__ import annotations

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.runs import schema
from keras_lcb.vision import Config, load, run
from keras_lcb.vision.experiment import compiled_model

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
    "network, arguments",
    [
        ("vgg", {}),
        ("resnet", {"bottleneck": True}),
        ("vit", {"patch_size": 2, "heads": 2}),
        ("mixer", {"patch_size": 2}),
    ],
)
def test_every_network_is_trained(network, arguments):
    config = Config(
        network=network,
        depths=(1,),
        width=4,
        normalization=True,
        updates=2,
        record_every=1,
        network_arguments=arguments,
    )
    recorded = run(config)
    assert recorded.sizes["step"] == 3
    assert any(str(name).startswith("stage1_block1") for name in recorded.layer.values)
    assert np.isfinite(recorded.gradient_norm.values[1:]).all()
    assert Config.from_json(json.dumps(schema.settings(recorded)["Config"])) == config


def test_probes_are_made_of_held_out_images_and_join_the_run(recorded):
    probes = {
        "RepresentationSimilarity": {"batch_size": 8},
        "ResponseFrequency": {"cutoffs": [0.2, 0.3]},
        "GradientPredictiveness": {"step_sizes": [0.1]},
    }
    config = dataclasses.replace(TINY, probes=probes, probe_images=40)
    assert Config.from_json(config.to_json()) == config
    found = run(config)
    assert found.similarity.sel(layer="conv_0").notnull().all()
    assert found.target_frequency.dims == ("step", "layer", "cutoff")
    assert schema.settings(found)["RepresentationSimilarity"]["samples"] == 40
    np.testing.assert_array_equal(found.distance, recorded.distance)  # nothing else changes


@pytest.mark.parametrize("network", ["vgg", "resnet", "vit", "mixer"])
def test_every_network_is_probed(network):
    config = Config(
        network=network,
        depths=(2,),
        width=4,
        normalization=True,
        updates=2,
        record_every=2,
        schedule="cosine",
        layers="blocks",
        probes={"RepresentationSimilarity": {}, "ResponseFrequency": {}},
        probe_images=80,
    )
    found = run(config)
    blocks = found.sel(layer=["stage1_block1", "stage1_block2"])
    assert blocks.similarity.notnull().all() and blocks.distance.notnull().all()
    assert Config.from_json(json.dumps(schema.settings(found)["Config"])) == config
    assert np.isfinite(found.response_frequency.sel(layer="head")).all()


def test_a_network_has_its_own_depths_unless_told():
    data = load("digits")
    names = [layer.name for layer in compiled_model(Config(network="resnet"), data).layers]
    assert "stage3_block3_conv2" in names


def test_the_cosine_schedule_falls_to_zero():
    recorded = run(dataclasses.replace(TINY, schedule="cosine"))
    np.testing.assert_allclose(recorded.learning_rate, [0.1, 0.05, 0.0], atol=1e-8)


def test_data_arguments_reach_load():
    textures = {"pattern": "high", "images": 20, "image_size": (8, 8)}
    config = dataclasses.replace(TINY, data="synthetic_textures", data_arguments=textures)
    assert config == Config.from_json(config.to_json())
    assert run(config).layer.sel(layer="head").parameters == 4 * 4 + 4
    with pytest.raises(ValueError, match="no part 'test'"):
        run(dataclasses.replace(TINY, data_arguments={"splits": ("train", "test")}))


def test_settings_have_a_hash():
    assert len({Config(), Config(depth=6), Config(depth=5)}) == 2


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"normalization": "no"}, "`normalization` must be True or False"),
        ({"network": "lenet"}, "There is no network 'lenet'"),
        ({"network": "resnet", "depth": 3}, "network 'resnet' takes no `depth`. It takes: bott"),
        ({"network": "vgg", "residual": True}, "takes no `residual`"),
        ({"depths": (3, 3)}, "network 'cnn' takes no `depths`"),
        ({"network_arguments": {"heads": 2}}, "network 'cnn' takes no `heads`"),
        ({"network_arguments": {"width": 2}}, "Received `width` among the arguments"),
        ({"data_arguments": {"seed": 2}}, "Received `seed` among the arguments"),
        ({"network_arguments": 3}, "`network_arguments` must be a dictionary"),
        ({"data_arguments": {"size": {1, 2}}}, "`data_arguments` must be a dictionary"),
        ({"network": "resnet", "depths": ()}, "`depths` must be a list with the number of blocks"),
        ({"network": "resnet", "depths": 3}, "`depths` must be a list with the number of blocks"),
        (
            {"probes": {"GradientNorms": {}}},
            "`probes` names callbacks that .*; received 'GradientN",
        ),
        ({"probes": {"ResponseFrequency": {"y": 1}}}, "arguments for ResponseFrequency: .*'y'"),
        ({"probes": {"ResponseFrequency": {"layers": []}}}, "arguments for R.*'layers'"),
        ({"layers": "stage1"}, '`layers` is None for each layer, "blocks", or a list'),
        ({"layers": []}, '`layers` is None for each layer, "blocks", or a list'),
        ({"probes": {"ResponseFrequency": [1]}}, "`probes` gives a dictionary of arguments"),
        ({"probe_images": 0}, "`probe_images` must be a whole number, 1 or more"),
        (
            {"schedule": "linear"},
            "`schedule` must be one of 'constant', 'cosine'; received 'linear'",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize(
    "setting, value",
    [
        ("depth", 0),
        ("updates", 7),
        ("seed", -1),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("momentum", np.float32(0.9)),  # which a run cannot keep
        ("data", pathlib.Path("flowers")),
        ("optimizer", "no such"),
    ],
)
def test_what_is_out_of_range_is_refused(setting, value):
    with pytest.raises(ValueError, match=setting if setting != "optimizer" else "no such"):
        dataclasses.replace(TINY, **{setting: value})


def test_text_that_is_no_config_is_refused():
    with pytest.raises(ValueError, match="must be a JSON object"):
        Config.from_json('{"colour": 1}')


def test_callbacks_that_do_not_fit_to_the_run_do_not_cost_it():
    """A whole training would be lost."""
    norms = lcb.GradientNorms(every=1)
    with pytest.warns(UserWarning, match="no part of your `callbacks`"):
        found = run(TINY, [norms])
    assert found.step.values.tolist() == [0, 3, 6] and "distance" in found
    assert norms.results.sizes["step"] == 7
