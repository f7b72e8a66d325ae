"""The page of results in the repository: whole, short, and what others quote of it is there."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from keras_lcb.experiments.answering import results
from keras_lcb.experiments.rows import TABLES
from keras_lcb.experiments.section import claims

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "RESULTS.md"
TEXT = PAGE.read_text()
FINDINGS = pd.read_csv(PAGE.parent / "results" / "findings.csv")
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
    told = set(EFFECT.findall(TEXT))
    ratios = FINDINGS[FINDINGS.claim == "shallower-first"].dropna(subset=["low"])
    assert len(ratios) > 5
    for row in ratios.itertuples():
        assert f"{row.effect:.2f} [{row.low:.2f}, {row.high:.2f}]" in told


def test_the_page_is_what_its_tables_tell_of_the_declared_settings(tmp_path):
    """Without a single run: whoever changes words, claims or settings has to write it anew."""
    docs = PAGE.parent
    again = results(tmp_path, tmp_path / "runs", earlier=docs, page_only=True)
    assert again.read_text() == TEXT
    for name in TABLES:
        tables = (pd.read_csv(folder / "results" / f"{name}.csv") for folder in (tmp_path, docs))
        pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_it_is_short():
    """What it says in words, and how much there is to look up; tests/docs measures its height."""
    in_words, looked_up = TEXT.split("## Claims and settings")
    assert len(re.findall(r"[A-Za-z]{2,}", in_words)) <= 400
    assert sum(line.startswith("| ") for line in looked_up.splitlines()) <= 130


# What others quote of the page: claim and setting of each number, in the order of the text.
FIRST, CNN = (
    ("shallower-first", "1-D, plain, momentum"),
    ("shallower-first", "digits, residual + BN, sgd"),
)
QUOTED = {
    "README.md": [FIRST, CNN],
    "tutorials/06_when_the_bias_disappears.py": [FIRST],
    "tutorials/teacher.md": [FIRST, CNN],
}
# The updates at which these networks were looked at, which a reader has to know.
TIMES = {FIRST: "4,000 updates", CNN: "800 updates"}


def quoting():
    """Texts that may quote numbers of the page, as one line each, by their path."""
    found = [ROOT / "README.md", *ROOT.glob("tutorials/*.py"), *ROOT.glob("tutorials/*.md")]
    found += [
        p for p in ROOT.glob("docs/**/*.md") if not {"_build", "generated", "results"} & {*p.parts}
    ]
    return {
        str(path.relative_to(ROOT)): " ".join(path.read_text().replace("\n# ", "\n").split())
        for path in found
        if path != PAGE
    }


def told(claim, setting):
    (row,) = FINDINGS[(FINDINGS.claim == claim) & (FINDINGS.setting == setting)].itertuples()
    assert not row.contested and row.verdict != "inconclusive"  # texts call them sure
    return f"{row.effect:.2f} [{row.low:.2f}, {row.high:.2f}]"


def test_numbers_that_are_quoted_are_those_of_their_claim_and_setting():
    found = {path: EFFECT.findall(text) for path, text in quoting().items()}
    assert {path: numbers for path, numbers in found.items() if numbers} == {
        path: [told(*place) for place in places] for path, places in QUOTED.items()
    }


def test_whoever_quotes_a_number_says_how_long_was_trained():
    texts = quoting()
    for path, places in QUOTED.items():
        for place in places:
            assert TIMES[place] in texts[path], path
    settings = claims(["2"])["shallower-first"].settings
    for (_, setting), time in TIMES.items():
        assert time == f"{settings[setting].config.updates // 2:,} updates"
