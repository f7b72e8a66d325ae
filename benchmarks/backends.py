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

from keras_lcb.experiments.section import claims
from keras_lcb.experiments.tables import MEAN

UNSURE = "inconclusive"
BACKENDS = ("tensorflow", "jax", "torch")
COMMAND = ("-m", "keras_lcb_cli", "results", "--quick", "--sections", "3", "4", "--jobs", "1")
PAGE = """\
# Verdicts on three backends

Sections 3 and 4 of the [study](../RESULTS.md) in small: the quick settings, five seeds, on each
backend, and the claims of other sections that share these trainings. Each backend draws its own
initial weights, so these are three repetitions. The settings are far smaller than those of the
study, and so verdicts may be others: look at how the columns agree, not at what they say. Sections
2 and 3 look at layers up to an update T: {times}.

A cell shows the effect, its 95 % t interval over seeds, the number n of seeds that have an effect,
and the verdict, corrected for the number of settings.

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
    means = table.index.get_level_values("setting") == MEAN
    return table[(table["seeds"] > 1) & ~means]


def page(found: dict[str, pd.DataFrame]) -> str:
    """Returns the page on the findings of each backend."""
    rows = list(next(iter(found.values())).index)
    lines = [["claim", "setting", *found], ["---"] * (2 + len(found))]
    lines += [[*row, *(_told(table, row) for table in found.values())] for row in rows]
    verdicts = [[table.loc[row, "verdict"] for table in found.values()] for row in rows]
    clear = [[verdict for verdict in own if verdict != UNSURE] for own in verdicts]
    same = sum(len(own) == len(found) and len(set(own)) == 1 for own in clear)
    opposite = sum(len(set(own)) > 1 for own in clear)
    none = sum(not own for own in clear)
    apart = sum(_apart([table.loc[row] for table in found.values()]) for row in rows)
    return PAGE.format(
        times=_times(),
        table="".join(f"| {' | '.join(line)} |\n" for line in lines),
        agreement=f"Of {len(rows)} rows, all backends have the same clear verdict in {same}, none "
        f"has one in {none}, and only some of them in {len(rows) - same - none - opposite}: five "
        f"seeds are few. Two backends have different clear verdicts in {opposite}, and intervals "
        f"that do not overlap in {apart}.",
    )


def _times() -> str:
    """Returns T of the quick settings, and of those of the study, for each set of data."""
    quick, whole = (claims(["2"], quick=q)["shallower-first"].settings for q in (True, False))
    halves = {
        name.split(", ")[0]: [of[name].config.updates // 2 for of in (quick, whole)]
        for name in quick
    }
    return ", ".join(
        f"{here:,} for {data} (there {there:,})" for data, (here, there) in halves.items()
    )


def _told(table: pd.DataFrame, row: tuple[str, str]) -> str:
    one = table.loc[row]
    return f"{one.effect:.2f} [{one.low:.2f}, {one.high:.2f}] n {one.seeds:.0f} {one.verdict}"


def _apart(rows: Sequence[pd.Series]) -> bool:
    """Returns whether two of the intervals do not overlap."""
    return max(row.low for row in rows) > min(row.high for row in rows)


if __name__ == "__main__":
    main()
