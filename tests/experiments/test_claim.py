"""Claims: from declared settings to an answer, in words and figures."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

from keras_lcb import experiments
from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT
from keras_lcb.experiments import answering, words
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.page import write_page
from keras_lcb.experiments.scale import RATIO


def measure(runs):
    """Times as large as 10: seeds scatter."""
    values = np.log(runs["distance"].isel(step=0, layer=0).values / 10 + 0.01)
    return finding(values, runs["seed"].values.tolist(), RATIO)


@pytest.fixture
def claim(toy):
    sizes = {"large": 100.0, "larger": 200.0, "small": 1.0, "missing": -1.0}
    settings = {
        name: experiments.Setting("toy_engine:engine", toy.Settings(size=size))
        for name, size in sizes.items()
    }
    return experiments.Claim(
        name="toys-are-large",
        says="Toys are large.",
        source="a child",
        effect="size ÷ 10",
        above="large",
        below="small",
        holds=("large",),
        measure=measure,
        scale=RATIO,
        settings=settings,
        seeds=5,
        challenge="--set power=0",
    )


@pytest.fixture
def answer(claim, tmp_path):
    experiments.complete(claim.members(), tmp_path / "runs", jobs=1, progress=False)
    return claim.answer(tmp_path / "runs")


def test_settings_run_before_seeds(claim):
    chosen = [(dict(m.choice)["setting"], m.seed) for m in claim.members((7, 8))]
    assert chosen[:4] == [(name, 7) for name in claim.settings]
    assert {seed for _, seed in chosen} == {7, 8} and len(chosen) == 8


def test_a_quick_study_has_seeds_enough_for_verdicts(claim):
    assert answering._count(claim, None, quick=True) == RUNS_FOR_A_VERDICT


def test_an_answer_has_a_verdict_for_each_setting_with_runs(answer):
    assert answer.verdicts() == {"large": "large", "larger": "large", "small": "small"}
    assert answer.pooled.effect.count == 3
    assert len(answer.results.failures) == 5


def test_it_is_told_in_words(answer):
    assert words.outcome(answer) == words.DEPENDS
    (told,) = words.summary([answer])
    assert told.startswith("**Depends on the setting**")
    assert "Large in 2 (large; larger); small in 1 (small)." in told
    assert "1 of 4 settings were not run yet" in told
    assert "mean over settings" not in told  # of three


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
    import dataclasses

    settings = dict.fromkeys(names, answer.claim.settings["large"])
    claim = dataclasses.replace(answer.claim, settings=settings)
    findings = {name: own for name, own in answer.findings.items() if name in names}
    assert words.outcome(dataclasses.replace(answer, claim=claim, findings=findings)) == outcome


def test_the_page_has_words_table_figures_and_commands(answer, tmp_path):
    page = write_page([answer], tmp_path / "docs", command="a command")
    text = page.read_text()
    assert "Made by `a command` from 15 trainings" in text
    value = RATIO.told(answer.findings["small"].effect)
    assert f"| small |  | ▼ {value} n 5 |" in text
    assert "size -1" not in text and "setting missing, seed 4: ValueError: no size is -1.0" in text
    assert "--claims toys-are-large --first-seed 100 --set power=0" in text
    for link in re.findall(r"\]\((.*?)\)", text):
        assert (tmp_path / "docs" / link).exists()
    with open(tmp_path / "docs" / "results" / "rows.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert float(rows[0]["effect"]) == pytest.approx(10.01, rel=1e-4)


def test_a_page_that_is_not_complete_says_so(claim, tmp_path):
    experiments.complete(claim.members([0]), tmp_path / "runs", jobs=1, progress=False)
    text = write_page([claim.answer(tmp_path / "runs")], tmp_path, command="c").read_text()
    assert "**Not complete: 16 trainings" in text and "○" in text and "▲ " not in text.split("|")[5]
