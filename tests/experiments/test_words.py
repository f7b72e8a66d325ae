"""What is found on claims, in words."""

from __future__ import annotations

import dataclasses

import pytest

from keras_lcb import experiments
from keras_lcb.experiments import words
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO


def test_it_is_told_in_words(answer):
    assert words.outcome(answer) == words.DEPENDS
    (told,) = words.summary([answer])
    assert told == (
        "**Depends on the setting**\n\n"
        "- Toys are large. Of 4 settings, 2 as claimed, 1 otherwise (small), 1 failed."
    )  # three settings have no mean


def test_a_mean_that_is_sure_is_told_as_a_verdict(answer):
    for effects, told in [
        ([0.2, 0.3, 0.25, 0.31, 0.28], "; mean ratio 1.31 [1.24, 1.38] (large)."),
        ([0.2, 0.3, -0.25, 0.31, -0.28], "; mean ratio 1.06 [0.73, 1.53]."),
    ]:
        changed = dataclasses.replace(answer, pooled=finding(effects, range(5), RATIO))
        assert words.sentence(changed).endswith(told)


def test_what_failed_is_not_what_was_not_run(claim, tmp_path):
    members = [m for m in claim.members() if dict(m.choice)["setting"] not in ("large", "small")]
    experiments.complete(members, tmp_path, jobs=1, progress=False)
    told = words.sentence(claim.answer(tmp_path))
    assert told.endswith("Of 4 settings, 1 as claimed, 1 failed, 2 not run yet.")


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (["large", "larger"], words.HOLDS),
        (["small"], words.FAILS),
        (["large", "small"], words.DEPENDS),
        (["large", "a", "b"], words.OPEN),
        ([], words.OPEN),
    ],
)
def test_what_verdicts_amount_to(answer, names, outcome):
    settings = dict.fromkeys(names, answer.claim.settings["large"])
    claim = dataclasses.replace(answer.claim, settings=settings)
    findings = {name: own for name, own in answer.findings.items() if name in names}
    assert words.outcome(dataclasses.replace(answer, claim=claim, findings=findings)) == outcome


def test_none_holds_whose_control_does_not(answer):
    own = {n: f for n, f in answer.findings.items() if n != "small"}
    holding = dataclasses.replace(answer, findings=own)
    control = dataclasses.replace(
        answer, claim=dataclasses.replace(answer.claim, name="weighed"), findings={}
    )
    claim = dataclasses.replace(answer.claim, control="weighed")
    asked = dataclasses.replace(holding, claim=claim)
    assert words.outcomes([holding, control])["toys-are-large"] == words.HOLDS
    assert words.outcomes([asked])["toys-are-large"] == words.HOLDS
    assert words.summary([asked])[0].endswith("Its control, *weighed*, is not on this page.")
    assert words.outcomes([asked, control])["toys-are-large"] == words.DEPENDS
    assert "Its control, *weighed*, is open." in words.summary([asked, control])[0]
    depends = words.MEANINGS.split("*depends on the setting*")[1]
    assert "if it would hold but its control does not" in depends


def test_settings_are_told_by_what_they_share():
    settings = dict.fromkeys(["a, plain, sgd", "a, BN, sgd", "a, BN, adam"])
    assert words._where(["a, BN, sgd", "a, BN, adam"], settings) == " (BN)"
    assert words._where(["a, BN, adam"], settings) == " (a, BN, adam)"
    assert words._where(["a, plain, sgd", "a, BN, adam"], settings) == ""
    assert words._where(list(settings), settings) == ""
