"""The page that compares the backends counts what agrees."""

import pandas as pd

from benchmarks import backends


def found(*rows):
    """Returns a table of findings on one claim, from rows (setting, effect, low, high, verdict)."""
    columns = ["setting", "effect", "low", "high", "verdict"]
    table = pd.DataFrame(rows, columns=columns).assign(claim="c", seeds=3)
    return table.set_index(["claim", "setting"])


def test_the_page_counts_verdicts_that_agree_and_intervals_that_do_not_overlap():
    one = found(
        ("a", 1.2, 1.1, 1.3, "up"),
        ("b", 0.9, 0.7, 1.2, "inconclusive"),
        ("c", 2, 1.9, 2.1, "up"),
        ("d", 1, 0.9, 1.2, "inconclusive"),
    )
    other = found(
        ("a", 1.3, 1.2, 1.4, "up"),
        ("b", 0.8, 0.7, 0.9, "down"),
        ("c", 1, 0, 1.8, "down"),
        ("d", 1, 0.9, 1.2, "inconclusive"),
    )
    page = backends.page({"jax": one, "torch": other})
    assert "| c | a | 1.20 [1.10, 1.30] n 3 up | 1.30 [1.20, 1.40] n 3 up |" in page
    assert (
        "Of 4 rows, all backends have the same clear verdict in 1, none has one in 1, and" in page
    )
    assert "only some of them in 1:" in page and "different clear verdicts in 1, and" in page
    assert "do not overlap in 1." in page
    assert "update T: 200 for digits (there 800), 500 for 1-D (there 4,000)." in page


def test_means_over_settings_are_no_rows(tmp_path):
    (tmp_path / "results").mkdir()
    rows = "claim,setting,seeds\nc,a,5\nc,b,1\nc,mean over settings,2\n"
    (tmp_path / "results" / "findings.csv").write_text(rows)
    assert list(backends._findings(tmp_path).index) == [("c", "a")]
