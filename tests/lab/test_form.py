"""A view in the viewer's form is what `compact` makes of the run."""

import dataclasses

import numpy as np
import pytest

from keras_lcb.lab.engine.training import Training
from keras_lcb.lab.engine.untrained import untrained
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.views.form import POINTS, announced, form_of
from keras_lcb.synthetic.experiment import compiled_model
from keras_lcb.viewer.compact import compact
from tests.lab.views import view
from tests.viewer.test_encoding import decoded

SETTINGS = Settings(depth=2, width=8, updates=100, target="sin(x)", learning_rate=0.05)


@pytest.mark.parametrize("residual", [True, False])
def test_a_live_form_is_that_of_the_run(residual):
    training = Training(dataclasses.replace(SETTINGS, residual=residual).config())
    training.advance(lambda: False)
    live, whole = form_of(training.view()), compact(training.run(), points=POINTS)
    assert live["steps"] == whole["steps"] and live["axes"] == whole["axes"]
    assert [each["name"] for each in live["layers"]] == [each["name"] for each in whole["layers"]]
    for name, described in live["variables"].items():
        expected = whole["variables"][name]
        for what in ("longName", "units", "dims"):
            assert described[what] == expected[what], name
        newest = decoded(described)[-1] if described["at"] else decoded(described)
        wanted = decoded(expected)[-1] if expected["at"] else decoded(expected)
        # A probe is not part of every record, and a run measures its last one anew.
        tolerance = 0.05 if name == "r2" else 1e-3
        np.testing.assert_allclose(newest, wanted, rtol=tolerance, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("residual", [True, False])
def test_before_training_it_is_the_network_that_is_trained(residual):
    settings = dataclasses.replace(SETTINGS, residual=residual, activation="tanh", seed=3)
    config = settings.config()
    shown = untrained(settings)
    given = compiled_model(config).predict(config.target.grid(config.points), verbose=0)
    np.testing.assert_allclose(shown.prediction, np.asarray(given)[:, 0], atol=1e-5)
    training = Training(config)
    training.advance(lambda: True)
    record = training._response.records[0]
    np.testing.assert_allclose(shown.error[0], record["frequency_error"], rtol=1e-4)
    if residual:
        np.testing.assert_allclose(shown.contribution, record["contribution"], atol=1e-5)
        np.testing.assert_allclose(shown.carried, record["frequency_share"], atol=1e-5)


def test_settings_that_start_alike_have_the_same_view():
    other = dataclasses.replace(SETTINGS, learning_rate=0.5, optimizer="adam", seeds=2)
    assert untrained(other).alike(untrained(SETTINGS))
    assert not untrained(dataclasses.replace(SETTINGS, seed=1)).alike(untrained(SETTINGS))


def test_what_is_not_measured_yet_is_announced_without_values():
    form = form_of(view())
    named = announced(form, ["normalized_distance", "relative_gradient_change/step_size=0.03"])
    told = named["variables"].pop("relative_gradient_change/step_size=0.03")
    assert named == form
    assert told["title"] == "relative gradient change, step size 0.03"
    assert told["at"] == [] and decoded(told).shape == (0, 4)


def test_bands_and_changes_are_part_of_it():
    lone = view(changes=((100, 0.1, 0.02),))
    banded = dataclasses.replace(lone, spread=(0.7 * lone.distance, 1.2 * lone.distance), seeds=3)
    form = form_of(banded)
    band = form["variables"]["normalized_distance"]["band"]
    np.testing.assert_allclose(decoded(band["high"]), 1.2 * lone.distance, rtol=1e-6)
    (event,) = form["events"]
    assert (event["update"], event["text"]) == (100, "learning rate 0.1 → 0.02")
    assert form["attributes"]["planned"] == 400 and form["attributes"]["seeds"] == 3
