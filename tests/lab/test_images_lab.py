"""A lab over another network is one file: it trains what `vision.run` trains."""

import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.lab import ImagesLab
from keras_lcb.lab.labs.images import ImageSettings
from keras_lcb.lab.serving.address import lab_of_address
from keras_lcb.training.layers import tracked_layers
from keras_lcb.vision.networks.cnn import build_cnn
from tests.lab.test_depth_lab import finished, press

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
    assert "predicted a deep layer; observed" in lab._history._table.value
    assert "depth 2, width 4, plain, sgd, rate 0.1, 60 updates" in lab._history._table.value


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
    with pytest.raises(TypeError, match="settings of this lab are depth, .* received 'target'"):
        ImagesLab(target="sin(x)")


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
def test_layers_have_the_names_that_they_have_in_the_network(residual, normalization):
    model = build_cnn((8, 8, 1), 10, 3, 4, normalization, residual)
    names = tuple(row.name for row in tracked_layers(model).layers)
    assert ImageSettings(3, 4, residual, normalization).layers == names
