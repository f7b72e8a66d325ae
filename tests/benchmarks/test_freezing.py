"""What the rows of the freezing benchmark say, and that they outlive a run that was stopped."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import freezing, freezing_page

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def row(way, seed, wall, accuracy):
    return {"way": way, "seed": seed, "wall_s": wall, "cpu_s": 2 * wall, "accuracy": accuracy}


def test_each_way_is_compared_with_plain_training_seed_by_seed():
    rows = [row("plain", 0, 100.0, 98.0), row("plain", 1, 200.0, 97.0), row("plain", 2, 1.0, 0.0)]
    rows += [row("cubic", 0, 80.0, 97.5), row("cubic", 1, 125.0, 96.8), row("linear", 7, 1.0, 9.0)]
    (linear, cubic) = freezing.summary(rows)
    assert (linear["way"], linear["seeds"]) == ("linear", 0)
    assert (cubic["way"], cubic["seeds"]) == ("cubic", 2)
    ratio, low, high = cubic["wall_s"]
    assert ratio == pytest.approx(math.sqrt(0.8 * 0.625))
    # Student's t of 12.706 for one degree of freedom, over the half difference of the logarithms.
    half = 12.706 * abs(math.log(0.8) - math.log(0.625)) / 2
    assert high == pytest.approx(ratio * math.exp(half), rel=1e-3)
    assert low == pytest.approx(ratio / math.exp(half), rel=1e-3)
    assert cubic["accuracy"][0] == pytest.approx(-0.35)


def test_a_target_counts_as_reached_only_with_an_interval():
    lines = freezing.summary([row("plain", 0, 100.0, 98.0), row("cubic", 0, 70.0, 98.0)])
    words = freezing.table(lines)
    assert "time at most 0.80 of plain training: reached" in words
    assert "within 1 point (95 %): NOT reached" in words


def test_rows_on_disk_are_known_again_except_for_one_that_was_cut_off(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert freezing.known_rows(path, {"epochs": 3}) == []
    rows = [{**row("plain", 0, 1.0, 9.0), "settings": {"epochs": epochs}} for epochs in (3, 4)]
    path.write_text("\n".join(map(json.dumps, rows)) + '\n{"way": "cub')
    assert freezing.known_rows(path, {"epochs": 3}) == rows[:1]


def test_the_page_says_what_the_rows_say():
    rows = [json.loads(line) for line in (RESULTS / "freezing.jsonl").read_text().splitlines()]
    assert freezing_page.page(rows) == (RESULTS / "freezing.md").read_text()
    assert {line["seeds"] for line in freezing.summary(rows)} == {10}
