"""The page that compares the backends counts what agrees."""

import pandas as pd

from benchmarks import backends


def found(*rows):
    """Returns a table of findings on one claim, from rows (setting, effect, low, high, verdict)."""
    columns = ["setting", "effect", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns).assign(claim="c").set_index(["claim", "setting"])


def test_the_page_counts_verdicts_that_agree_and_intervals_that_do_not_overlap():
    one = found(
        ("a", 1.2, 1.1, 1.3, "up"), ("b", 0.9, 0.7, 1.2, "inconclusive"), ("c", 2, 1.9, 2.1, "up")
    )
    other = found(
        ("a", 1.3, 1.2, 1.4, "up"), ("b", 0.8, 0.7, 0.9, "down"), ("c", 1, 0, 1.8, "down")
    )
    page = backends.page({"jax": one, "torch": other})
    assert "| c | a | 1.20 [1.10, 1.30] up | 1.30 [1.20, 1.40] up |" in page
    assert "the same verdict in 1 of 3 rows" in page
    assert "different clear verdicts in 1 of them" in page
    assert "do not overlap in 1." in page
