"""The benchmark of how the cost grows, and that its page says what was measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cost, cost_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("size", [*cost.PARAMETERS[:3], 12_345])
def test_a_network_has_about_the_asked_number_of_parameters(size):
    width = cost._width(size)
    assert 17 * width + 3 * width * (width + 1) + width + 1 == pytest.approx(size, rel=0.02)


def test_each_kind_of_size_is_measured():
    row = cost.parameters(100, rounds=1)
    assert row["parameters"] == pytest.approx(100, rel=0.2)
    assert row["exact_mib"] == pytest.approx(4 * row["parameters"] / 2**20)
    assert all(np.isfinite(value) for value in row.values())
    row = cost.errors(10_000, rounds=1)
    assert len(row["error"]) == 8 and row["error"][-1] == 0 < max(row["error"]) < 0.2
    row = cost.records(10, rounds=1)
    assert row["mib"] > 100 and row["growth"] < 0.1 and row["size_mib"] > 0
    row = cost.reading(2, rounds=1, layers=5)
    assert row["report_mib"] > 0.1 and all(np.isfinite(value) for value in row.values())


def test_the_page_says_what_was_measured(tmp_path):
    kept = json.loads((DOCS / "results" / "cost.json").read_text())
    (tmp_path / "images").mkdir()
    assert cost_page.write(kept, tmp_path).read_text() == (DOCS / "COST.md").read_text()
    for kind, sizes in cost.SIZES.items():
        assert {str(size) for size in sizes} == set(kept[kind])
