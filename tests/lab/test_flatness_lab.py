"""The second lab, without a browser: what it measures, when, and how it shows it."""

import base64
import dataclasses
import re

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.lab import DepthLab, FlatnessLab
from keras_lcb.lab.engine.flatness_training import FlatnessTraining
from keras_lcb.lab.engine.loss_around_layers import STEP_SIZE, LossAroundLayers
from keras_lcb.lab.engine.training import Training
from keras_lcb.lab.screen.page_address import PageAddress
from keras_lcb.lab.serving.address import lab_of_address
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.views.flatness_view import FlatnessView, describe_flatness, most_stable_layer
from keras_lcb.lab.views.form import form_of
from tests.lab.test_depth_lab import TINY, finished, press
from tests.lab.views import view

SETTINGS = Settings(**TINY)


def flat_view(rates=(0.1, 0.4, 0.2, 0.3), **changes):
    """A view of four layers that was measured at three moments."""
    plain = view()
    own = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
    made = FlatnessView(
        **own,
        moments=np.array([0, 200, 400]),
        alphas=np.linspace(-1, 1, 5),
        slices=np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 0.25, 0.1, 0.25, 1.0]),
        change=np.linspace(0.1, 0.4, 12).reshape(3, 4),
        rates=np.array([rates] * 3),
        learning_rate=0.05,
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture(scope="module")
def trained():
    """A training to its end, in the smallest pieces there are."""
    training = FlatnessTraining(SETTINGS.config())
    while not training.done:
        training.advance(lambda: True)
    return training


@pytest.fixture(scope="module")
def lab():
    """A lab with one finished run."""
    lab = FlatnessLab(**TINY, predict=True)
    lab._prediction._answers.value = "a deep layer"
    press(lab, "Start")
    yield finished(lab)
    lab.close()


def test_around_a_quadratic_bowl_it_is_as_calculus_says():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(1, use_bias=False, name="line")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(loss="mse")  # of identity inputs: ½‖w − 1‖², whose Hessian is the identity
    weights = np.array([[3.0], [0.5]])
    model.layers[-1].set_weights([weights])
    around = LossAroundLayers(model, np.eye(2), np.ones((2, 1)))
    assert len(list(around.measure(7))) == 3  # one piece for each quantity of the one layer
    (moment,) = around.moments
    assert moment.step == 7
    assert moment.change == pytest.approx([STEP_SIZE], rel=1e-4)
    assert moment.rates == pytest.approx([2.0], rel=0.1)
    middle = len(around.alphas) // 2
    even = (moment.slices[0] + moment.slices[0][::-1]) / 2 - moment.slices[0][middle]
    assert even == pytest.approx(around.alphas**2 * np.sum(weights**2) / 2, rel=1e-3, abs=1e-5)


def test_measuring_leaves_the_training_as_it_is(trained):
    plain = Training(SETTINGS.config())
    plain.advance(lambda: False)
    result, expected = trained.run(), plain.run()
    for name in ("normalized_distance", "gradient_norm", "loss"):
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-4, atol=1e-6)


def test_it_measures_at_the_start_the_end_and_between(trained):
    run = trained.run()
    rates = run["stable_learning_rate"]
    measured = rates.notnull().any("layer")
    steps = run["step"].values[measured.values]
    assert steps[0] == 0 and steps[-1] == SETTINGS.updates
    assert 5 <= len(steps) <= 9
    grid = SETTINGS.config().target.grid(SETTINGS.config().points)
    found = lcb.landscape.largest_stable_learning_rate(
        trained._model, grid, SETTINGS.config().target.clean(grid), steps=20, theory=False
    )
    np.testing.assert_allclose(rates.isel(step=-1), found["learning_rate"], rtol=0.11)


def test_stop_gets_through_between_two_pieces_of_a_measurement():
    training = FlatnessTraining(SETTINGS.config())
    asked = []
    training.advance(lambda: asked.append(training.records) or len(asked) == 2)
    assert asked == [0, 0] and training.records == 0 and training.news == 0
    assert training._surroundings.moments == []
    training.advance(lambda: training.records == 1)
    assert [moment.step for moment in training._surroundings.moments] == [0]
    assert training.view().moments.tolist() == [0]


def test_a_run_is_drawn_told_listed_and_met_by_the_prediction(lab):
    assert lab.state == "done"
    assert "has the largest stable learning rate" in lab.sentence and "half-way" in lab.sentence
    assert "predicted a deep layer; observed" in lab._history._table.value
    names = set(lab._gallery.viewer.shown[0]["form"]["variables"])
    assert {panel.partition(":")[2] for panel in lab._gallery.viewer.panels} - {""} <= names
    assert "layer_slice" in names
    shown = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")


def test_everything_can_be_saved(lab, tmp_path):
    assert "stable_learning_rate" in lab.export("csv").decode().splitlines()[0]
    (tmp_path / "run.nc").write_bytes(lab.export("nc"))
    assert lcb.load_run(tmp_path / "run.nc").identical(lab.run)
    assert b"stable learning rate" in lab.export("svg")


def test_several_seeds_make_one_result_and_each_says_that_it_compiles():
    lab, said = FlatnessLab(**{**TINY, "depth": 1}, seeds=2), []
    lab._progress.status.observe(
        lambda change: said.append(re.sub("<.*?>", "", change["new"]).split(",")[0]), "value"
    )
    press(lab, "Start")
    finished(lab)
    seeds = " ".join(said).split("compiling the measurement: about 2 s")
    assert [words.strip().split(":")[0] for words in seeds] == ["", "training", "training"]
    assert lab.state == said[-1] == "done" and lab.run.sizes["seed"] == 2
    rates = lab.run["stable_learning_rate"].isel(step=-1).mean("seed", skipna=False)
    np.testing.assert_allclose(lab._history.entries[-1].view.rates[-1], rates)
    lab.close()


def test_the_line_says_which_lab_it_is(lab):
    assert "lab=flatness" in lab.config
    assert FlatnessLab.from_config(lab.config).config == lab.config
    assert lab._sharing.line == f'lcb.lab.FlatnessLab.from_config("{lab.config}")'
    with pytest.raises(ValueError, match="the lab 'depth'; received one for the lab 'flatness'"):
        DepthLab.from_config(lab.config)


def parts(widget):
    return [widget, *(part for child in getattr(widget, "children", ()) for part in parts(child))]


def texts(widget):
    return [each.value for each in parts(widget) if isinstance(getattr(each, "value", None), str)]


def test_an_address_asks_for_it(monkeypatch):
    monkeypatch.setenv("QUERY_STRING", "token=abc&lab=flatness&depth=2&")
    links, lab = lab_of_address().children
    assert "?lab=depth" in links.value and "Predict, then press Start" in str(texts(lab))
    assert any(
        isinstance(each, PageAddress) and "lab=flatness" in each.query for each in parts(lab)
    )
    monkeypatch.setenv("QUERY_STRING", "token=secret&depth")
    sentence, *_ = lab_of_address().children
    assert "depth=3" in sentence.value and "secret" not in sentence.value
    monkeypatch.setenv("QUERY_STRING", "lab=magic")
    sentence, *_ = lab_of_address().children
    assert (
        "There is no lab &#x27;magic&#x27;. The labs are depth, flatness, images, freezing."
        in sentence.value
    )


def test_what_is_not_finite_is_not_told():
    nothing = np.full((3, 4), np.nan)
    broken = flat_view(rates=[np.nan] * 4, change=nothing, slices=np.full((4, 5), np.inf))
    form_of(broken)
    assert "learning rate" not in describe_flatness(broken)
    assert most_stable_layer(broken)[0] == "cannot be told"


def test_words_say_what_was_measured():
    said = describe_flatness(flat_view())
    assert (
        "At update 400 layer_1 has the largest stable learning rate if it alone moves, 0.4" in said
    )
    assert "layer_0 the smallest, 0.1. All layers are trained at 0.05" in said
    assert "the loss rises most for readout, and least for layer_0" in said
    assert (
        "After a step of size 0.03 along its gradient, readout's gradient changes most, by 40%"
        in said
    )


def test_layers_without_a_rate_are_named():
    seen = flat_view((np.nan, 0.4, 0.2, 9.0))
    assert "layer_2 the smallest, 0.2. None was found for layer_0. All" in describe_flatness(seen)
    told = "No largest stable learning rate was found for layer_0."
    assert most_stable_layer(seen)[1] == told


@pytest.mark.parametrize(
    ("rates", "answer"),
    [
        ((0.4, 0.2, 0.1, 9.0), "a shallow layer"),  # the read-out is no answer
        ((0.1, 0.4, 0.2, 9.0), "a layer in the middle"),
        ((0.1, 0.2, 0.4, 9.0), "a deep layer"),
        ((0.20, 0.21, 0.20, 9.0), "all about together"),
        ((np.nan, 0.1, 0.2, 9.0), "cannot be told"),
    ],
)
def test_the_outcome_is_where_the_most_stable_layer_is(rates, answer):
    assert most_stable_layer(flat_view(rates))[0] == answer
