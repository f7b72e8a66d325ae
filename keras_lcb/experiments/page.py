"""The page of results: in words, as tables, as figures, and how to contradict it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lcb.experiments import rows, tables, words
from keras_lcb.experiments.claim import Answer
from keras_lcb.experiments.finding import Finding
from keras_lcb.experiments.rows import BESIDE
from keras_lcb.plotting.forest import ForestRow, plot_forest
from keras_lcb.runs.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "RESULTS.md"


def write_page(
    answers: Sequence[Answer], out: str | os.PathLike[str], *, command: str, quick: bool = False
) -> Path:
    """Writes `RESULTS.md`, and beneath it figures and tables.

    Args:
        answers: What was found on each claim.
        out: The folder; made if it is not there.
        command: What makes the page, for it to say.
        quick: Whether it tells of small settings only, which it then says.

    Returns:
        The page.

    Raises:
        OSError: If it cannot be written.
    """
    beside = Path(out) / BESIDE
    beside.mkdir(parents=True, exist_ok=True)
    for name, table in rows.tables(answers).items():
        write_atomically(beside / f"{name}.csv", table.to_csv(index=False).encode())
    for answer in answers:
        if answer.findings:
            forest(answer).savefig(beside / f"{answer.claim.name}.png", dpi=90)
    page = Path(out) / NAME
    write_atomically(page, ("\n\n".join(_paragraphs(answers, command, quick)) + "\n").encode())
    return page


def _paragraphs(answers: Sequence[Answer], command: str, quick: bool) -> list[str]:
    return [
        "# What holds, where, and how much",
        _opening(answers, quick),
        *words.summary(answers),
        "## Claims and settings",
        tables.glossary(answers, BESIDE),
        f"{tables.LEGEND} {words.MEANINGS}",
        *tables.tables(answers),
        *_failures(answers),
        "## How to contradict it",
        "Each command trains one claim's settings anew, with other seeds and one thing changed, "
        "and writes a page of its own:",
        "\n".join(f"    {challenge(answer)}" for answer in answers),
        _making(answers, command),
    ]


def _opening(answers: Sequence[Answer], quick: bool) -> str:
    # Claims may share runs; each counts once.
    missing = {member.key for answer in answers for member in answer.results.missing}
    if quick:
        return f"**A quick study: a few small settings.** {words.READING}"
    if missing:
        return (
            f"**Not complete: {_trainings(len(missing))} "
            f"{'was' if len(missing) == 1 else 'were'} not run yet, so that there are fewer "
            f"verdicts than there will be.** {words.READING}"
        )
    return words.READING


def _making(answers: Sequence[Answer], command: str) -> str:
    took = {member.key: seconds for answer in answers for member, seconds in answer.results.made}
    known = [seconds for seconds in took.values() if not math.isnan(seconds)]
    which = "which" if len(known) == len(took) else f"{len(known):,} of which"
    time = f", {which} took at most {_hours(sum(known))} of processor time" if known else ""
    return (
        f"Made by `{command}` from {_trainings(len(took))}{time}. None of the paper's numbers and "
        "architectures was at hand: what is compared is what it claims in words. All results: "
        f"[findings.csv]({BESIDE}/findings.csv), a row a claim and setting, "
        f"[rows.csv]({BESIDE}/rows.csv), a row a seed and measure, and "
        f"[trainings.csv]({BESIDE}/trainings.csv)."
    )


def _trainings(count: int) -> str:
    return f"{count:,} training{'' if count == 1 else 's'}"


def _hours(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)  # it took at most so many
    if minutes > 60:
        return f"{math.ceil(seconds / 360) / 10:.1f} hours"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _failures(answers: Sequence[Answer]) -> list[str]:
    """Lists each failed member once. Members of a setting with the same error share a line."""
    known: set[str] = set()
    seeds: dict[tuple[str, str], list[int]] = {}
    for answer in answers:
        for member, error in answer.results.failures:
            if member.key not in known:
                known.add(member.key)
                what = f"{answer.claim.name}, {dict(member.choice)['setting']}"
                seeds.setdefault((what, " ".join(error.split())), []).append(member.seed)
    if not seeds:
        return []
    lines = (
        f"- {what}, seed{'s' if len(own) > 1 else ''} {', '.join(map(str, sorted(own)))}: {error}"
        for (what, error), own in seeds.items()
    )
    return ["## Failed", "\n".join(lines)]


def challenge(answer: Answer) -> str:
    """Returns a command that may contradict a claim."""
    further = f" {answer.claim.challenge}" if answer.claim.challenge else ""
    return f"keras-lcb results --claims {answer.claim.name} --first-seed 100{further} --out mine"


def forest(answer: Answer) -> Figure:
    """Returns the forest plot of a claim."""
    from matplotlib.figure import Figure

    claim = answer.claim
    lines = [_row(name, found) for name, found in answer.findings.items()]
    figure = Figure(figsize=(8, 1.45 + 0.3 * len(lines)), layout="constrained")
    ax = figure.subplots()
    plot_forest(
        lines,
        ax,
        effect=claim.effect,
        none=claim.scale.shown(0.0),
        bounds=(claim.scale.low, claim.scale.high),
        logarithmic=claim.scale.logarithmic,
        pooled=_row("mean over settings", answer.pooled) if len(lines) > 1 else None,
    )
    ax.set_title(claim.says, loc="left", wrap=True, fontsize="medium")
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, top - 0.5)  # room for what either side means
    size = ax.xaxis.label.get_fontsize()
    ax.text(0, 1.0, f"◂ {claim.below}", transform=ax.transAxes, va="top", fontsize=size)
    ax.text(1, 1.0, f"{claim.above} ▸", transform=ax.transAxes, va="top", ha="right", fontsize=size)
    return figure


def _row(name: str, found: Finding) -> ForestRow:
    return ForestRow(name, *found.scale.ends(found.effect), found.sign, found.contested)
