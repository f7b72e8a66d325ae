"""The page on claims."""

from __future__ import annotations

import csv
import dataclasses
import re

import pytest

from keras_lcb import experiments
from keras_lcb.experiments.page import _hours, forest, write_page
from keras_lcb.experiments.scale import RATIO


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


def test_one_training_is_no_trainings(claim, tmp_path):
    one = dataclasses.replace(claim, settings={"large": claim.settings["large"]})
    text = write_page([one.answer(tmp_path, [0])], tmp_path, command="c").read_text()
    assert "**Not complete: 1 training was not run yet, so" in text
    experiments.complete(one.members([0]), tmp_path, jobs=1, progress=False)
    text = write_page([one.answer(tmp_path, [0])], tmp_path, command="c").read_text()
    assert "from 1 training, which took at most 1 minute of processor time" in text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (1, "1 minute"),
        (61, "2 minutes"),
        (3599, "60 minutes"),
        (3601, "1.1 hours"),
        (7200, "2.0 hours"),
    ],
)
def test_no_less_than_it_took(seconds, told):
    assert _hours(seconds) == told


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


def test_what_either_side_of_a_figure_means_can_be_read(answer):
    figure = forest(answer)
    (ax,) = figure.axes
    figure.draw_without_rendering()
    left, right = (text for text in ax.texts if text.get_text())
    assert (left.get_text(), right.get_text()) == ("◂ small", "large ▸")
    first_row = ax.transData.transform((1.0, 0.0))[1]
    mark = 3.5 * figure.dpi / 72  # half its height
    for side in (left, right):
        assert side.get_fontsize() == ax.xaxis.label.get_fontsize()
        assert side.get_window_extent().y0 > first_row + mark
