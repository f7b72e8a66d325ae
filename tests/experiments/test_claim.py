"""Claims: from declared settings to an answer, in words and figures."""

from __future__ import annotations

import csv
import dataclasses
import re

import numpy as np
import pytest

from keras_lcb import experiments, synthetic
from keras_lcb.analysis import Estimate
from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT
from keras_lcb.experiments import answering, rows, tables, words
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


def test_a_setting_whose_runs_all_diverged_is_told_apart(answer):
    diverged = finding([], (), RATIO, lacking="every run diverged")
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": diverged})
    assert words.sentence(changed).endswith("2 as claimed, 1 diverged, 1 failed.")
    assert tables.cell(changed, "small") == "○ every run diverged n 0 of 5"


def contradicted(found, against=2):
    """Returns a finding that one other measure supports, and some contradict."""
    opposite = {
        f"against {n}": Estimate([-value for value in found.effect.values]) for n in range(against)
    }
    beside = {"with": found.effect, **opposite}
    return dataclasses.replace(found, beside=beside)


def test_a_verdict_that_other_measures_contradict_is_marked_and_does_not_count(answer):
    small = contradicted(answer.findings["small"])
    assert small.contested and not contradicted(answer.findings["small"], against=1).contested
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": small})
    assert words.outcome(changed) == words.HOLDS
    assert "2 as claimed, 1 contested (small), 1 failed." in words.sentence(changed)
    assert tables.cell(changed, "small").startswith("▽ ")
    assert tables.cell(changed, "small").endswith(" +1 −2")
    assert rows.findings([changed]).set_index("setting").contested.to_dict() == {
        "large": False,
        "larger": False,
        "small": True,
        tables.MEAN: False,
    }


def test_none_holds_whose_control_does_not(answer):
    own = {n: f for n, f in answer.findings.items() if n != "small"}
    holding = dataclasses.replace(answer, findings=own)
    control = dataclasses.replace(
        answer, claim=dataclasses.replace(answer.claim, name="weighed"), findings={}
    )
    claim = dataclasses.replace(answer.claim, control="weighed")
    asked = dataclasses.replace(holding, claim=claim)
    assert words.outcomes([holding, control])["toys-are-large"] == words.HOLDS
    assert words.outcomes([asked])["toys-are-large"] == words.HOLDS  # its control is not asked
    assert words.outcomes([asked, control])["toys-are-large"] == words.DEPENDS
    assert "Its control, *weighed*, is open." in words.summary([asked, control])[0]


def test_settings_are_told_by_what_they_share():
    settings = dict.fromkeys(["a, plain, sgd", "a, BN, sgd", "a, BN, adam"])
    assert words._where(["a, BN, sgd", "a, BN, adam"], settings) == " (BN)"
    assert words._where(["a, BN, adam"], settings) == " (a, BN, adam)"
    assert words._where(["a, plain, sgd", "a, BN, adam"], settings) == ""
    assert words._where(list(settings), settings) == ""


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
    assert "| setting | *toys-are-large* n 5 |" in text
    assert f"| small | ▼ {value} |" in text and "| missing | × 5 failed |" in text
    assert "- toys-are-large, missing, seeds 0, 1, 2, 3, 4: ValueError: no size is -1.0" in text
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
    assert "**Not complete: 16 trainings" in text and "| ○ " in text and "| ▲ 1" not in text


def test_failures_of_each_claim_are_listed_once(answer, tmp_path):
    """Claims may share members, and have settings of the same name that are others."""
    first, *_ = answer.results.failures
    other = dataclasses.replace(answer.claim, name="other")
    shared = dataclasses.replace(answer, claim=other)
    member = dataclasses.replace(first[0], key="another")
    own = dataclasses.replace(answer.results, failures=[(member, "OSError: disk\nfull")])
    third = dataclasses.replace(shared, results=own)
    text = write_page([answer, shared, third], tmp_path, command="c").read_text()
    failed = text.split("## Failed")[1].split("## How")[0].strip().splitlines()
    assert [line.split(":")[0] for line in failed] == [
        "- toys-are-large, missing, seeds 0, 1, 2, 3, 4",
        "- other, missing, seed 0",
    ]
    assert failed[1].endswith(": OSError: disk full")


def test_seeds_that_drop_out_are_told(answer):
    found = answer.findings["small"]
    values = (*found.effect.values[:4], np.nan)
    dropped = dataclasses.replace(found, effect=Estimate(values))
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": dropped})
    assert tables.cell(changed, "small").endswith(" n 4 of 5")
    assert tables.cell(changed, "large").endswith("]")  # as the head of the column says


def test_a_loss_is_that_of_the_leftmost_claim_in_a_row(answer):
    def with_loss(name, loss, settings):
        findings = {
            setting: dataclasses.replace(answer.findings[setting], loss=Estimate([loss]))
            for setting in settings
        }
        claim = dataclasses.replace(answer.claim, name=name)
        results = dataclasses.replace(answer.results, failures=[])
        return dataclasses.replace(answer, claim=claim, findings=findings, results=results)

    one, two = with_loss("one", 0.5, ["large"]), with_loss("two", 0.25, ["large", "small"])
    (table,) = tables.tables([one, two])
    assert table.splitlines()[0] == "| setting | loss | *one* n 5 | *two* n 5 |"
    assert "| large | 0.5 | " in table and "| small | 0.25 |  | " in table


def test_a_question_of_ones_own_changes_settings(claim):
    changed = answering._changed(claim, {"power": 0})
    assert {setting.config.power for setting in changed.settings.values()} == {0}
    name, one = next(iter(claim.settings.items()))
    lacking = dataclasses.replace(one, config=synthetic.Config())
    mixed = dataclasses.replace(claim, settings={"other": lacking, name: one})
    changed = answering._changed(mixed, {"power": 0}).settings
    assert changed["other"] == lacking and changed[name].config.power == 0
    with pytest.raises(ValueError, match="no setting 'powr'"):
        answering._changed(claim, {"powr": 0})
