"""Exercises that take a run of the lab refuse one with other settings than were asked for."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from keras_lcb import exercises
from keras_lcb.exercises.checking import NoAnswer
from keras_lcb.exercises.lab_runs import OF_THE_LABS, require
from keras_lcb.synthetic import SineSum, default_target, target_from_dict

TUTORIALS = Path(__file__).parents[2] / "tutorials"


@pytest.fixture
def lab_run(run_factory) -> xr.Dataset:
    config = {"depth": 10, "learning_rate": 0.0101, "updates": 100, "seed": 0, "residual": False}
    config["target"] = OF_THE_LABS["target"]
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
        ({"residual": True}, "has a plain network; this exercise is about a residual network."),
        (
            {"target": default_target().to_dict()},
            r"has target sin\(x\) \+ .*/4; this exercise is about target 1·sin\(1x\) \+ 0.33·sin",
        ),
    ],
)
def test_other_settings_are_told(lab_run, asked, said):
    with pytest.raises(NoAnswer, match=said):
        require(lab_run, **asked)


def test_a_target_is_the_same_however_it_is_written(lab_run):
    rows = [(1, 1.0, 0.0), (2, 0.5, 0.0), (4, 0.25, 0.0)]
    require(lab_run, target=SineSum(rows).to_dict())
    for other in (SineSum(rows[:2]), SineSum(rows, noise=0.1), SineSum(rows, domain=(0.0, 1.0))):
        with pytest.raises(NoAnswer, match="this exercise is about target"):
            require(lab_run, target=other.to_dict())


@pytest.mark.parametrize("beginning", ["01", "02", "03", "04"])
def test_what_is_asked_for_is_what_the_notebook_s_lab_is_made_with(beginning):
    (text,) = TUTORIALS.glob(f"{beginning}_*.py")
    calls = [n for n in ast.walk(ast.parse(text.read_text())) if isinstance(n, ast.Call)]
    (lab,) = [call for call in calls if ast.unparse(call.func).startswith("lcb.lab.")]
    made = {own.arg: own.value for own in lab.keywords}
    for name in ("width", "optimizer", "updates"):
        assert ast.literal_eval(made[name]) == OF_THE_LABS[name]
    assert not {"residual", "activation"} & set(made)  # as they are by default
    x = np.linspace(-np.pi, np.pi, 50)
    values = eval(ast.literal_eval(made["target"]), {"sin": np.sin, "x": x})
    assert np.allclose(target_from_dict(OF_THE_LABS["target"]).clean(x), values)


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
