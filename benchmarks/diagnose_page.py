"""The table and the page docs/results/diagnose.md, from the rows of `benchmarks.diagnose`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]


def faults(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows of trainings with a planted fault, by fault."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if "fault" in row:
            found.setdefault(row["fault"], []).append(row)
    return found


def total(rows: Sequence[Row], name: str) -> int:
    """Returns the sum of a number over rows; rows without it count as 0."""
    return sum(row.get(name, 0) for row in rows)


def false(rows: Sequence[Row]) -> Counter[str]:
    """Returns how often each fault was found wrongly in sound trainings, and "any" of them."""
    counts: Counter[str] = Counter()
    for row in rows:
        if "sound" in row:
            counts.update(row["false"])
            counts["any"] += row["any"]
    return counts


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yields the lines of the table that is printed."""
    cells = list(dict.fromkeys((row["network"], row["optimizer"]) for row in rows))
    wrong, of_sound = false(rows), total([row for row in rows if "sound" in row], "runs")
    yield f"{'':24}" + "".join(f"{' '.join(cell):>22}" for cell in cells) + (
        f"{'sound: false':>16}{'mended':>12}{'of harmed':>12}"
    )
    for fault, own in faults(rows).items():
        by_cell = {(row["network"], row["optimizer"]): row for row in own}
        found = "".join(f"{_share(by_cell.get(cell)):>22}" for cell in cells)
        mended = f"{total(own, 'mended')}/{total(own, 'tried')}"
        harmed = f"{total(own, 'harmed_mended')}/{total(own, 'harmed')}"
        yield f"{fault:24}{found}{f'{wrong[fault]}/{of_sound}':>16}{mended:>12}{harmed:>12}"
    yield f"any false finding in a sound training: {wrong['any']}/{of_sound}"
    yield ""
    for fault, own in faults(rows).items():
        told = sum((Counter(row["beside"]) for row in own), Counter[str]())
        names = ", ".join(f"{name} {count}" for name, count in told.most_common())
        yield f"also found with {fault}: {names or 'nothing'}"


def _share(row: Row | None) -> str:
    """Returns in how many of the trainings with the fault it was found, and how many had it."""
    if row is None or not row["runs"]:
        return "-"
    absent = row["runs"] - row["there"]
    return f"{row['found']}/{row['there']}" + (f" ({absent} without)" if absent else "")
