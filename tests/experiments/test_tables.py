"""The tables of the page, and what stands in their cells."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_lcb.analysis import Estimate
from keras_lcb.experiments import rows, tables, words
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO


def contradicted(found, against=2):
    """Returns a finding that one other measure supports, and some contradict."""
    opposite = {
        f"against {n}": Estimate([-value for value in found.effect.values]) for n in range(against)
    }
    beside = {"with": found.effect, **opposite}
    return dataclasses.replace(found, beside=beside)


def test_a_setting_whose_runs_all_diverged_is_told_apart(answer):
    diverged = finding([], (), RATIO, lacking="every run diverged")
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": diverged})
    told = words.sentence(changed)
    assert told.endswith("2 as claimed, 1 diverged or learned nothing, 1 failed.")
    assert tables.cell(changed, "small") == "○ every run diverged n 0 of 5"


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


def test_seeds_that_drop_out_are_told(answer):
    found = answer.findings["small"]
    values = (*found.effect.values[:4], np.nan)
    dropped = dataclasses.replace(found, effect=Estimate(values))
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": dropped})
    assert tables.cell(changed, "small").endswith(" n 4 of 5")
    assert tables.cell(changed, "large").endswith("]")  # as the head of the column says


def test_a_note_that_claims_share_is_told_once(answer):
    claims = [
        dataclasses.replace(answer.claim, name=name, note=note)
        for name, note in {"one": "Mind it.", "two": "", "three": "Mind it."}.items()
    ]
    told = tables.glossary([dataclasses.replace(answer, claim=claim) for claim in claims], "in")
    assert told.endswith("|\n\n*one*, *three*: Mind it.")
    assert "| [two](in/two.png) | size ÷ 10 | large | a child |" in told


def test_the_head_of_a_column_does_not_count_measures_as_seeds(answer):
    beside = contradicted(answer.findings["small"])
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": beside})
    assert tables._head(changed) == "*toys-are-large* n 5 · 3 other measures"


def test_the_legend_explains_the_figures():
    (figures,) = [part for part in tables.LEGEND.split(". ") if part.startswith("Figures: ")]
    for drawn in ("grey band", "hollow marks", "diamond", "arrowheads"):
        assert drawn in figures


def test_why_there_is_no_verdict_in_spite_of_seeds_is_told_below(answer):
    alike = dataclasses.replace(answer.findings["small"], lacking="toys are alike")
    changed = dataclasses.replace(answer, findings=answer.findings | {"small": alike})
    (table,) = tables.tables([changed])
    assert table.endswith("|\n\n† no verdict: toys are alike.")
    assert tables.cell(changed, "small").endswith("] †")


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
