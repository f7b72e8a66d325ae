"""A study is a grid of settings, each with the same seeds."""

from __future__ import annotations

import dataclasses

import pytest

from keras_lcb import experiments


def test_settings_that_belong_together_are_one_choice(toy):
    grid = {"size,power": ((1.0, 2), (3.0, 4))}
    study = experiments.Study("toy_engine:engine", toy.Settings(), grid, (0,))
    assert [(m.config.size, m.config.power) for m in study.members()] == [(1.0, 2), (3.0, 4)]


def test_a_member_makes_the_run_of_its_settings(study):
    last = study.members()[-1]
    assert str(last) == "size 5.0, seed 2"
    assert last.make().distance.values[0, 0] == 7.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine": "toy_engine"}, "package.module:function"),
        ({"engine": "toy_engine:motor"}, "no engine 'toy_engine:motor'"),
        ({"engine": "toy_motor:engine"}, "no engine 'toy_motor:engine'"),
        ({"grid": {"sise": (1.0,)}}, "no setting 'sise'"),
        ({"grid": {"size": ()}}, "a value"),
        ({"grid": {"size": (1.0, 1.0)}}, "twice"),
        ({"grid": {"size": (1, 1.0)}}, "twice"),
        ({"seeds": ()}, "needs a seed"),
    ],
)
def test_refused_studies(study, change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(study, **change)
