import numpy as np
import pytest

from keras_lcb.atlas.outcome import outcome


def with_times(run_factory, first, last, head=1.0):
    """A run whose layers fall in a straight line, and are half-way at such updates."""
    steps = np.arange(0, 201, 10)
    halves = np.array([first, 50.0, last, head])
    distance = np.clip(1 - steps[:, None] / (2 * halves), 0, 1)
    distance[-1] = 0
    return run_factory(distance, steps=steps)


@pytest.mark.parametrize(
    ("first", "last", "answer"),
    [(20, 60, "first"), (60, 20, "last"), (58, 62, "alike"), (38, 46, "first"), (46, 38, "last")],
)
def test_the_first_hidden_layer_is_compared_with_the_last(run_factory, first, last, answer):
    found = outcome(with_times(run_factory, first, last))
    assert found["answer"] == answer
    assert f"layer_0 at update {first}, layer_2 at update {last}." in found["text"]


def test_what_lies_between_the_same_records_is_a_tie(run_factory):
    found = outcome(with_times(run_factory, 41, 49))
    assert found["answer"] == "alike"
    assert "Both lie between the records at 40 and 50: a tie." in found["text"]


def test_how_many_times_as_long_is_said(run_factory):
    assert "the last took 3 times" in outcome(with_times(run_factory, 20, 60))["text"]
    assert "the first took 3 times" in outcome(with_times(run_factory, 60, 20))["text"]


def test_what_diverged_has_no_answer(run_factory):
    run = run_factory(attrs={"first_nonfinite_update": 55})
    assert outcome(run)["answer"] == "neither" and "update 55" in outcome(run)["text"]


def test_a_layer_that_never_moved_is_never_half_way(run_factory):
    distance = np.array([[0.0, 1.0, 1.0, 1.0], [0.0, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]])
    assert outcome(run_factory(distance, steps=(0, 10, 20)))["answer"] == "neither"
