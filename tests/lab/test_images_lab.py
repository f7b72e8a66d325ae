"""A lab over another network is one file: it trains what `vision.run` trains."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.lab import ImagesLab
from keras_lcb.lab.engine.image_networks import experiment
from keras_lcb.lab.engine.untrained_images import untrained
from keras_lcb.lab.labs.images import _engine
from keras_lcb.lab.serving.address import lab_of_address
from keras_lcb.lab.settings.images import NETWORKS, ImageSettings
from keras_lcb.lab.views.form import form_of
from keras_lcb.lab.views.images_view import RESPONSE, images_view_of
from keras_lcb.lab.views.stacking import stacked
from keras_lcb.response import GaussianFilter
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.selection import select_layers
from keras_lcb.viewer.compact import compact
from keras_lcb.vision.networks import builder
from tests.lab.test_depth_lab import finished, press
from tests.viewer.test_encoding import decoded

TINY = {"depth": 2, "width": 4, "updates": 60}


@pytest.fixture(scope="module")
def lab():
    lab = ImagesLab(**TINY, predict=True)
    (before,) = lab._gallery.viewer.shown
    assert [layer["name"] for layer in before["form"]["layers"]] == ["conv_0", "conv_1", "head"]
    lab._prediction._answers.value = "a deep layer"
    press(lab, "Start")
    yield finished(lab)
    lab.close()


def test_it_trains_what_the_experiment_trains(lab):
    assert lab.state == "done", lab._session.error
    config = lcb.vision.Config(
        **TINY, batch_size=64, record_every=1, optimizer="sgd", learning_rate=0.1
    )
    expected = lcb.vision.run(config)
    for name in ("normalized_distance", "gradient_norm", "loss"):
        np.testing.assert_allclose(lab.run[name], expected[name], rtol=1e-3, atol=1e-5)


def test_it_is_drawn_told_listed_and_met_by_the_prediction(lab):
    (shown,) = lab._gallery.viewer.shown
    assert shown["form"]["steps"][-1] == 60
    assert "half-way at update" in lab.sentence
    final = lab.run.response_frequency.isel(step=-1).sel(cutoff=0.5)
    fastest = final.layer.values[final.argmax("layer")]
    assert f"The response of {fastest} varies fastest with the image, " in lab.sentence
    assert f"{final.max().item():.0%} of it above the cut-off" in lab.sentence
    assert "predicted a deep layer; observed" in lab._history._table.value
    assert "plain, depth 2, width 4, sgd, rate 0.1, 60 updates" in lab._history._table.value


def test_it_is_found_and_has_an_address(lab, monkeypatch):
    assert "ImagesLab" in lcb.lab.__all__ and lcb.lab.ImagesLab is ImagesLab
    assert "lab=images" in lab.config and "target" not in lab.config
    assert ImagesLab.from_config(lab.config).config == lab.config
    monkeypatch.setenv("QUERY_STRING", f"token=abc&{lab.config}")
    links, _ = lab_of_address().children
    assert "?lab=images' aria-current='page'" in links.value


def test_another_depth_is_drawn_at_once_and_a_setting_of_other_labs_refused():
    lab = ImagesLab(**TINY)
    lab._controls.by_name["depth"].value = 5
    assert len(lab._gallery.viewer.shown[0]["form"]["layers"]) == 6
    lab.close()
    with pytest.raises(TypeError, match="settings of this lab are network, .* received 'target'"):
        ImagesLab(target="sin(x)")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("normalization", [True, False])
def test_layers_have_the_names_that_they_have_in_the_run(network, normalization):
    settings = ImageSettings(network, 3, 6, normalization)
    config = experiment(settings, 0, **settings.built())
    model = builder(config.network)(
        (8, 8, 1),
        10,
        **{name: value for name, value in settings.built().items() if name in _ARGUMENTS},
        **config.network_arguments,
    )
    rows = select_layers(tracked_layers(model).layers, config.layers)
    assert settings.layers == tuple(row.name for row in rows)


_ARGUMENTS = ("depth", "depths", "width", "residual", "normalization")


def test_a_transformer_trains_with_as_many_heads_as_divide_its_width():
    for width, heads in ((16, 4), (6, 2), (7, 1)):
        settings = ImageSettings("transformer", depth=2, width=width)
        assert settings.built()["network_arguments"]["heads"] == heads


def test_filters_and_responses_are_those_of_the_trained_network(lab):
    training = _engine(lab.settings, lab.settings.seed)
    training.advance(lambda: False)
    view, run = training.view(), training.run()
    kernel = np.asarray(training._model.get_layer("conv_1").kernel)
    expected = np.moveaxis(kernel[:, :, 0, :4], -1, 0)
    np.testing.assert_allclose(view.filters[1], expected, atol=1e-6)
    np.testing.assert_allclose(lab.run.filters.isel(step=-1, layer=1), expected, atol=1e-4)
    images = lcb.vision.load("digits", batch_size=64, seed=lab.settings.seed).validation
    x = next(images.unbatch().batch(200).as_numpy_iterator())[0]
    inner = keras.Model(training._model.input, training._model.get_layer("conv_1").output)
    pixels = x.reshape(200, -1).astype("float64")
    share = GaussianFilter(pixels @ pixels.T, 0.5).share_above(inner.predict(x, verbose=0))
    measured = run.response_frequency.sel(layer="conv_1", cutoff=0.5)
    assert measured.isel(step=-1).item() == pytest.approx(share, rel=1e-3)
    assert run.response_frequency.notnull().all(["layer", "cutoff"]).sum() == 9
    np.testing.assert_allclose(view.response[-1, 1, 2], share, rtol=1e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_before_training_filters_are_those_that_training_starts_from(network):
    settings = ImageSettings(network, 3, 6, seed=3)
    training = _engine(settings, settings.seed)
    training.advance(lambda: True)
    shown = untrained(settings)
    np.testing.assert_array_equal(shown.filters, training._filters.records[0]["filters"])
    assert form_of(shown)["variables"]["filters"]["at"] == [0]
    later = dataclasses.replace(settings, optimizer="adam", learning_rate=0.5)
    assert shown.alike(untrained(later))
    assert not shown.alike(untrained(dataclasses.replace(settings, seed=4)))


def test_the_view_of_several_seeds_has_their_mean_and_the_filters_of_the_first(lab):
    other = lab.run.copy(deep=True)
    other["response_frequency"] = other.response_frequency + 0.2
    other["filters"] = other.filters + 1.0
    both = stacked([lab.run.assign_attrs(seed=0), other.assign_attrs(seed=1)])
    one, view = images_view_of(lab.run), images_view_of(both)
    np.testing.assert_allclose(view.response, one.response + 0.1)
    np.testing.assert_array_equal(view.filters, one.filters)
    assert view.moments.tolist() == one.moments.tolist() and view.seeds == 2


def test_a_live_form_has_the_names_of_the_run(lab):
    training = _engine(lab.settings, 0)
    training.advance(lambda: training.records > 2)
    live, whole = form_of(training.view()), compact(training.run())
    for name, described in live["variables"].items():
        for what in ("longName", "title", "units", "dims"):
            assert described.get(what) == whole["variables"][name].get(what), name
        newest = decoded(described)[-1]
        np.testing.assert_allclose(newest, decoded(whole["variables"][name])[-1], rtol=1e-5)
    assert {"filters", RESPONSE} <= live["variables"].keys()
    assert len(json.dumps(live)) < 20_000
