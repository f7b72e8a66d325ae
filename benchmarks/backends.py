"""Shows whether verdicts depend on the backend: sections 3 and 4 in small, on each of them.

python -m benchmarks.backends [--runs FOLDER] [--out docs/results/backends.md] [--page-only]

Runs `keras-lcb results --quick --sections 3 4` on TensorFlow, JAX and torch, five seeds of each
setting, and writes a page that compares them. An interrupted benchmark continues.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

BACKENDS = ("tensorflow", "jax", "torch")
COMMAND = ("-m", "keras_lcb_cli", "results", "--quick", "--sections", "3", "4", "--jobs", "1")
PAGE = """\
# Verdicts on three backends

Sections 3 and 4 of the [study](../RESULTS.md) in small: the quick settings, five seeds, on each
backend, and the claims of other sections that share these trainings. Each backend draws its own
initial weights, so these are three repetitions. The settings are far smaller than those of the
study: look at how the columns agree, not at what they say. A cell shows the effect, its 95 % t
interval over seeds, and the verdict, corrected for the number of settings.

{table}
{agreement}

`python -m benchmarks.backends --runs FOLDER` repeats it.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("backends-runs"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/backends.md"))
    parser.add_argument("--page-only", action="store_true", help="run nothing")
    options = parser.parse_args(arguments)
    if not options.page_only:
        for backend in BACKENDS:
            _run(backend, options.runs / backend)
    found = {each: _findings(options.runs / each) for each in BACKENDS}
    options.out.write_text(page(found))
    print(options.out)


def _run(backend: str, folder: Path) -> None:
    settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *COMMAND, "--runs", str(folder / "runs"), "--out", str(folder)]
    subprocess.run(command, env=os.environ | settings, check=True)


def _findings(folder: Path) -> pd.DataFrame:
    """Returns the findings of sections 3 and 4, by claim and setting."""
    table = pd.read_csv(folder / "results" / "findings.csv", index_col=["claim", "setting"])
    return table[(table["seeds"] > 1) & table["loss"].notna()]  # without means over settings


def page(found: dict[str, pd.DataFrame]) -> str:
    """Returns the page on the findings of each backend."""
    rows = list(next(iter(found.values())).index)
    lines = [["claim", "setting", *found], ["---"] * (2 + len(found))]
    lines += [[*row, *(_told(table, row) for table in found.values())] for row in rows]
    verdicts = [{table.loc[row, "verdict"] for table in found.values()} for row in rows]
    same = sum(len(each) == 1 for each in verdicts)
    opposite = sum(len(each - {"inconclusive"}) > 1 for each in verdicts)
    apart = sum(_apart([table.loc[row] for table in found.values()]) for row in rows)
    return PAGE.format(
        table="".join(f"| {' | '.join(line)} |\n" for line in lines),
        agreement=f"All backends have the same verdict in {same} of {len(rows)} rows. In the "
        "others, some are inconclusive: five seeds are few. Two backends have different clear "
        f"verdicts in {opposite} of them, and intervals that do not overlap in {apart}.",
    )


def _told(table: pd.DataFrame, row: tuple[str, str]) -> str:
    one = table.loc[row]
    return f"{one.effect:.2f} [{one.low:.2f}, {one.high:.2f}] {one.verdict}"


def _apart(rows: Sequence[pd.Series]) -> bool:
    """Returns whether two of the intervals do not overlap."""
    return max(row.low for row in rows) > min(row.high for row in rows)


if __name__ == "__main__":
    main()
