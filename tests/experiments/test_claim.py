"""Claims: from declared settings to an answer, in words and figures."""

from __future__ import annotations

import dataclasses

import pytest

from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT
from keras_lcb.experiments import answering


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


def test_an_answer_has_a_verdict_for_each_setting_with_runs(answer):
    assert answer.verdicts() == {"large": "large", "larger": "large", "small": "small"}
    assert answer.pooled.effect.count == 3
    assert len(answer.results.failures) == 5
