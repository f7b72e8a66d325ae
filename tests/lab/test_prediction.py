import dataclasses

import numpy as np
import pytest

from keras_lcb.lab.screen.prediction import Prediction
from keras_lcb.lab.views.questions import QUESTIONS, first_frequency, first_layer
from tests.lab.views import view


@pytest.mark.parametrize(
    ("half_way", "answer"),
    [
        ((100, 200, 300), "a shallow layer"),
        ((300, 100, 200), "a layer in the middle"),
        ((300, 200, 100), "a deep layer"),
        ((200, 205, 199), "all about together"),
        ((10_000, 10_000, 10_000), "none of them"),
        ((200, 205, 10_000), "a shallow layer"),
        ((100, 200), "a shallow layer"),
        ((100,), "the only layer"),
        ((200, 100), "a deep layer"),
        ((300, 100, 300, 300, 300), "a shallow layer"),
        ((300, 300, 300, 100, 300), "a deep layer"),
    ],
)
def test_the_outcome_is_where_the_first_layer_is(half_way, answer):
    assert first_layer(view(half_way))[0] == answer


@pytest.mark.parametrize(
    ("learned", "answer"),
    [
        ((50, 300), "the slow waves"),
        ((300, 50), "the fast waves"),
        ((200, 201), "all about together"),
        ((200, np.inf), "the slow waves"),
        ((np.inf, np.inf), "none of them"),
    ],
)
def test_the_outcome_is_which_waves_are_first(learned, answer):
    steps = np.linspace(0, 400, 9)
    error = np.stack([1 - 0.5 * steps / time for time in learned], axis=1)
    assert first_frequency(dataclasses.replace(view(), error=error))[0] == answer


def test_prediction_and_outcome_stand_side_by_side():
    prediction = Prediction(QUESTIONS["layer"])
    assert prediction.answer is None
    (choice,) = [w for w in prediction.widget.children if hasattr(w, "options")]
    choice.value = "a deep layer"
    said = prediction.compare(view())
    assert said == "predicted a deep layer; observed a shallow layer"
    shown = prediction.widget.children[-1].value
    assert "a deep layer" in shown and "a shallow layer" in shown
    prediction.ask()
    assert prediction.answer is None and not prediction.widget.children[-1].value
