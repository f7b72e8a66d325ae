"""The page of results in the repository: whole, short, and what others quote of it is there."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from keras_lcb.experiments.section import claims

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "RESULTS.md"
TEXT = PAGE.read_text()
EFFECT = re.compile(r"[-+]?\d+\.\d\d \[[-+]?\d+\.\d\d, [-+]?\d+\.\d\d\]")


def test_every_claim_is_told_and_can_be_contradicted():
    for name, claim in claims().items():
        assert claim.says in TEXT
        assert f"keras-lcb results --claims {name} " in TEXT


def test_what_it_links_to_is_there_and_small():
    links = re.findall(r"\]\((results/[^)]+)\)", TEXT)
    assert {"results/findings.csv", "results/rows.csv"} <= set(links)
    for link in links:
        assert (PAGE.parent / link).exists(), link
    assert sum(path.stat().st_size for path in PAGE.parent.glob("results/*.csv")) < 2 * 2**20


def test_the_table_says_what_the_csv_says():
    found = pd.read_csv(PAGE.parent / "results" / "findings.csv")
    told = set(EFFECT.findall(TEXT))
    ratios = found[found.claim == "shallower-first"].dropna(subset=["low"])
    assert len(ratios) > 5
    for row in ratios.itertuples():
        assert f"{row.effect:.2f} [{row.low:.2f}, {row.high:.2f}]" in told


def test_it_is_at_most_four_screens():
    """Of some 30 rows of a table each."""
    assert sum(line.startswith("| ") for line in TEXT.splitlines()) <= 120


def test_numbers_that_are_quoted_are_on_the_page():
    quoting = [
        ROOT / "README.md",
        *(ROOT / "tutorials").glob("*.py"),
        ROOT / "tutorials/teacher.md",
    ]
    quoted = [
        number
        for path in quoting
        for paragraph in path.read_text().split("\n\n")
        if "RESULTS.md" in paragraph
        for number in EFFECT.findall(" ".join(paragraph.split()))
    ]
    assert quoted  # the README quotes some
    for number in quoted:
        assert number in TEXT, number
