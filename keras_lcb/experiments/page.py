"""The page of results: in words, as one table, as figures, and how to contradict it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lcb.experiments import rows, words
from keras_lcb.experiments.claim import Answer
from keras_lcb.experiments.finding import Finding
from keras_lcb.plotting.forest import ForestRow, plot_forest
from keras_lcb.runs.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "RESULTS.md"
BESIDE = "results"  # the folder for figures and tables
SIGNS = {1: "▲", -1: "▼", 0: "○"}


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
    tables = {"findings": rows.findings(answers), "rows": rows.raw(answers)}
    for name, table in tables.items():
        write_atomically(
            beside / f"{name}.csv", table.to_csv(index=False, float_format="%.5g").encode()
        )
    for answer in answers:
        if answer.findings:
            forest(answer).savefig(beside / f"{answer.claim.name}.png", dpi=90)
    page = Path(out) / NAME
    write_atomically(page, ("\n\n".join(_paragraphs(answers, command, quick)) + "\n").encode())
    return page


def _paragraphs(answers: Sequence[Answer], command: str, quick: bool) -> list[str]:
    return [
        "# What holds, where, and how much",
        _opening(answers, command, quick),
        *words.summary(answers),
        "## Claims and settings",
        _legend(answers),
        *_tables(answers),
        f"All figures: [findings.csv]({BESIDE}/findings.csv), a row a claim and setting; "
        f"[rows.csv]({BESIDE}/rows.csv), a row a seed and measure. Figures: "
        + ", ".join(_figure_link(answer) for answer in answers if answer.findings)
        + ".",
        *_failures(answers),
        "## How to contradict it",
        "Each command trains one claim's settings anew, with other seeds and one thing changed, "
        "and writes a page of its own:",
        "\n".join(f"    {challenge(answer)}" for answer in answers),
    ]


def _opening(answers: Sequence[Answer], command: str, quick: bool) -> str:
    # Claims may share runs; each counts once.
    took: dict[str, float] = {}
    missing: dict[str, None] = {}
    for answer in answers:
        took |= answer.results.seconds
        missing |= dict.fromkeys(member.key for member in answer.results.missing)
    said = (
        f"Made by `{command}` from {len(took):,} trainings, which took "
        f"{_hours(sum(took.values()))} of processor time or less. The paper is Chen, "
        'Yuille and Zhou, "Which Layer is Learning Faster?" (ICLR 2023). None of its numbers and '
        "architectures was at hand: settings are our own choice, and what is compared is what it "
        "claims in words."
    )
    if quick:
        return f"**A quick study: a few small settings.** {said}"
    if missing:
        return (
            f"**Not complete: {len(missing):,} trainings of the study were not run yet, so that "
            f"intervals are wider, and verdicts fewer, than they will be.** {said}"
        )
    return said


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def _legend(answers: Sequence[Answer]) -> str:
    effects = "\n".join(
        f"- *{answer.claim.name}*: {answer.claim.effect}. ▲ {answer.claim.above}, ▼ "
        f"{answer.claim.below}, = {answer.claim.none}. {answer.claim.note}".rstrip()
        for answer in answers
        if answer.findings
    )
    return (
        "Each cell: the effect, its 95 % t interval over seeds, the number of seeds n, and of the "
        "other measures of the same thing how many clearly have the same sign (+), how many the "
        "opposite (−). Signs are verdicts, corrected for the number of settings by Holm's method; "
        "○ is no verdict: what was measured is compatible with both, or there are fewer than five "
        "seeds. A verdict is about the layers of its setting: what differs in the same way in all "
        "seeds need not be due to depth. *Loss* is the training loss where layers were looked "
        "at.\n\n" + effects
    )


def _tables(answers: Sequence[Answer]) -> list[str]:
    """Tables of settings by claims; claims that share settings stand in one."""
    groups: list[list[Answer]] = []
    for answer in (answer for answer in answers if answer.findings):
        mates = [g for g in groups if set(g[0].findings) & set(answer.findings)]
        if mates:
            mates[0].append(answer)
        else:
            groups.append([answer])
    return [_table(group) for group in groups]


def _table(group: Sequence[Answer]) -> str:
    settings = list(dict.fromkeys(name for answer in group for name in answer.findings))
    head = ["setting", "loss", *(f"*{answer.claim.name}*" for answer in group)]
    lines = [head, ["---"] * len(head)]
    for name in settings:
        found = [answer.findings.get(name) for answer in group]
        loss = next((f.loss.mean for f in found if f is not None and f.loss.count), None)
        lines.append([name, "" if loss is None else f"{loss:.2g}", *map(cell, found)])
    lines.append(["**mean over settings**", "", *(cell(answer.pooled) for answer in group)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(finding: Finding | None) -> str:
    """Returns a finding as a cell of the table."""
    if finding is None:
        return ""
    sign = "=" if finding.equivalent else SIGNS[finding.sign]
    likes = list(finding.agreement.values())
    agree = f" +{likes.count('+')} −{likes.count('−')} of {len(likes)}" if likes else ""
    seeds = f" n {finding.effect.count}"
    return f"{sign} {finding.scale.told(finding.effect)}{seeds}{agree}"


def _figure_link(answer: Answer) -> str:
    return f"[{answer.claim.name}]({BESIDE}/{answer.claim.name}.png)"


def _failures(answers: Sequence[Answer]) -> list[str]:
    failed = {str(member): error for a in answers for member, error in a.results.failures}
    if not failed:
        return []
    return ["## Failed", "\n".join(f"- {member}: {error}" for member, error in failed.items())]


def challenge(answer: Answer) -> str:
    """Returns a command that may contradict a claim."""
    further = f" {answer.claim.challenge}" if answer.claim.challenge else ""
    return f"keras-lcb results --claims {answer.claim.name} --first-seed 100{further} --out mine"


def forest(answer: Answer) -> Figure:
    """Returns the forest plot of a claim."""
    from matplotlib.figure import Figure

    claim = answer.claim
    lines = [_row(name, found) for name, found in answer.findings.items()]
    figure = Figure(figsize=(8, 1.3 + 0.3 * len(lines)), layout="constrained")
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
    ax.text(0, 1.0, f"◂ {claim.below}", transform=ax.transAxes, va="top", fontsize="small")
    ax.text(
        1, 1.0, f"{claim.above} ▸", transform=ax.transAxes, va="top", ha="right", fontsize="small"
    )
    return figure


def _row(name: str, found: Finding) -> ForestRow:
    return ForestRow(name, *found.scale.ends(found.effect), found.sign)
