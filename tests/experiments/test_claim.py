"""Claims: from declared settings to an answer, in words and figures."""

from __future__ import annotations

import dataclasses

import pytest

from keras_lcb import experiments
from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT, Estimate
from keras_lcb.experiments import answering
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO


def test_settings_run_before_seeds(claim):
    chosen = [(dict(m.choice)["setting"], m.seed) for m in claim.members((7, 8))]
    assert chosen[:4] == [(name, 7) for name in claim.settings]
    assert {seed for _, seed in chosen} == {7, 8} and len(chosen) == 8


@pytest.mark.parametrize("holds", [("lage",), ("large", "inconclusive"), "large", ["large"], ()])
def test_what_holds_is_a_tuple_of_verdicts_of_the_claim(claim, holds):
    told = "'toys-are-large' must be a tuple of one or more of its verdicts 'large', 'small', 'equ"
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(claim, holds=holds)
    for known in ("large", "small", "equivalent"):
        assert dataclasses.replace(claim, holds=(known,)).holds == (known,)


def test_a_quick_study_has_seeds_enough_for_verdicts(claim):
    assert answering._count(claim, None, quick=True) == RUNS_FOR_A_VERDICT


@pytest.mark.parametrize("unlearned", [False, True])
@pytest.mark.parametrize(
    ("measure", "told"),
    [
        (lambda runs: runs["los"], "KeyError: .*los"),
        (lambda runs: None, "`measure` must return a Finding; it returned None"),
        (
            lambda runs: finding([0.1] * runs.sizes["seed"], [0, 1], RATIO),
            "it returned 5 values of 'effect' for 2 seeds",
        ),
        (
            lambda runs: finding([0.1], [0], RATIO, beside={"angle": Estimate((0.1, 0.2))}),
            "it returned 2 values of 'angle' for 1 seeds",
        ),
        (lambda runs: finding([0.1], [7], RATIO), r"of seeds in \[0, 1, 2, 3, 4\]; it told of \[7"),
    ],
)
def test_a_measure_that_fails_is_named_and_the_runs_are_kept(
    claim, tmp_path, measure, told, unlearned
):
    settings = {"large": claim.settings["large"]}
    claim = dataclasses.replace(claim, settings=settings, unlearned=unlearned)
    experiments.complete(claim.members(), tmp_path, jobs=1, progress=False)
    told = f"'toys-are-large' could not be measured in the setting 'large'.* kept.*{told}"
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(claim, measure=measure).answer(tmp_path)
    assert claim.answer(tmp_path).verdicts() == {"large": "large"}


def test_an_answer_has_a_verdict_for_each_setting_with_runs(answer):
    assert answer.verdicts() == {"large": "large", "larger": "large", "small": "small"}
    assert answer.pooled.effect.count == 3
    assert len(answer.results.failures) == 5
