"""Exercises that take a run of the lab refuse one with other settings than were asked for."""

from __future__ import annotations

import json

import pytest
import xarray as xr

from keras_lcb import exercises
from keras_lcb.exercises.checking import NoAnswer
from keras_lcb.exercises.lab_runs import require


@pytest.fixture
def lab_run(run_factory) -> xr.Dataset:
    config = {"depth": 10, "learning_rate": 0.0101, "updates": 100, "seed": 0}
    return run_factory().assign_attrs(settings=json.dumps({"Config": config}))


def test_a_run_with_the_settings_asked_for_will_do(lab_run):
    require(lab_run, depth=10, learning_rate=0.01)  # a slider may be a little off


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"depth": 5}, "has depth 10; this exercise is about depth 5. Set it in the lab"),
        (
            {"learning_rate": 0.02},
            "learning rate 0.0101; this exercise is about learning rate 0.02",
        ),
    ],
)
def test_other_settings_are_told(lab_run, asked, said):
    with pytest.raises(NoAnswer, match=said):
        require(lab_run, **asked)


def test_runs_that_cannot_be_used_are_told(lab_run, run_factory):
    settings = json.loads(lab_run.attrs["settings"])
    changed = json.dumps(settings | {"learning_rate_changes": [[20, 0.1]]})
    for run, said in [
        (None, "no run yet"),
        (3, "lab.run"),
        (run_factory(), "does not say with which settings"),
        (lab_run.isel(step=slice(3)), "ended at update 20 of 100"),
        (lab_run.expand_dims(seed=[0, 1]), "Set Seeds to 1"),
        (lab_run.assign_attrs(settings=changed), "was changed while"),
    ]:
        with pytest.raises(NoAnswer, match=said):
            require(run, depth=10)


def test_the_verdict_stays_open_as_long_as_the_lab_shows_another_run(lab_run):
    verdict = exercises.check("01.4", "layer_0", run=None)
    assert verdict.right is None and "press Start" in verdict.said
    assert exercises.check("02.6", 3, run=lab_run).right is None
