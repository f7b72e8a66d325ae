"""The tables of the page: claims, and what was found on them in each setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from keras_lcb.analysis.estimate import RUNS_FOR_A_VERDICT
from keras_lcb.experiments.claim import Answer
from keras_lcb.experiments.finding import Finding

SIGNS = {1: "▲", -1: "▼", 0: "○"}
CONTESTED = {1: "△", -1: "▽"}
MARK = "†"
MEAN = "mean over settings"
WIDEST = 3  # claims side by side
LEGEND = (
    "Cells: the verdict, the effect, its 95 % t interval over seeds. Verdicts: ▲ and ▼ as above, △ "
    "and ▽ if contested, = equivalent, ○ none. They take five seeds, and are corrected for the "
    "number of settings (Holm); intervals are not, so one without 'no effect' in it may be no "
    "verdict. +a −b: of the other measures, a clearly have the same sign, b the opposite one. n: "
    "seeds, in the head, and in cells with another number; with “n 6 of 7”, a run diverged, "
    "learned nothing, or lacks what is compared. In the last row, n is settings, and the verdict "
    "is not corrected. Loss: of training, in the leftmost claim of the row, where its layers were "
    "compared. Figures: the grey band counts as no effect, hollow marks are contested, the diamond "
    "is the mean over settings, and intervals with arrowheads go on. What differs in the same way "
    "in all seeds need not be due to depth."
)


def glossary(answers: Sequence[Answer], beside: str) -> str:
    """Returns a table of what each claim measures, with its figure in a folder, and the notes."""
    lines = [["claim", "effect", "▲ (▼ is the opposite)", "by"], ["---"] * 4]
    for answer in answers:
        claim = answer.claim
        name = f"[{claim.name}]({beside}/{claim.name}.png)" if answer.findings else claim.name
        lines.append([name, claim.effect, claim.above, claim.source])
    notes: dict[str, list[str]] = {}
    for answer in answers:
        if answer.claim.noted:
            notes.setdefault(answer.claim.noted, []).append(f"*{answer.claim.name}*")
    told = " ".join(f"{', '.join(names)}: {note}" for note, names in notes.items())
    return f"{_markdown(lines)}\n\n{told}" if told else _markdown(lines)


def tables(answers: Sequence[Answer]) -> list[str]:
    """Returns tables of settings by claims; claims that share settings stand side by side."""
    groups: list[list[Answer]] = []
    for answer in answers:
        own = set(_told(answer))
        mates = [g for g in groups if len(g) < WIDEST and any(own & set(_told(m)) for m in g)]
        if mates:
            mates[0].append(answer)
        elif _told(answer):
            groups.append([answer])
    return [_table(group) for group in groups]


def _told(answer: Answer) -> list[str]:
    """Settings that there is something to tell of, as they are declared."""
    failed = answer.failed()
    return [name for name in answer.claim.settings if name in answer.findings or failed[name]]


def _table(group: Sequence[Answer]) -> str:
    settings = list(dict.fromkeys(name for answer in group for name in _told(answer)))
    losses = {name: _loss(group, name) for name in settings}
    with_loss = any(losses.values())
    lines = [["setting", "loss", *map(_head, group)], ["---"] * (2 + len(group))]
    lines += [[name, losses[name], *(cell(answer, name) for answer in group)] for name in settings]
    if len(settings) > 1:
        lines.append([f"**{MEAN}**", "", *(_mean(answer.pooled) for answer in group)])
    table = _markdown(lines if with_loss else [[line[0], *line[2:]] for line in lines])
    found = [found for answer in group for found in answer.findings.values()]
    reasons = dict.fromkeys(_reason(each) for each in found if _reason(each))
    return f"{table}\n\n{MARK} no verdict: {'; or '.join(reasons)}." if reasons else table


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _loss(group: Sequence[Answer], name: str) -> str:
    """The loss that the leftmost claim in the row tells, if it has one."""
    found = next((answer.findings[name] for answer in group if name in answer.findings), None)
    return f"{found.loss.mean:.2g}" if found is not None and found.loss.count else ""


def _head(answer: Answer) -> str:
    beside = max((len(found.beside) for found in answer.findings.values()), default=0)
    others = f" · {beside} other measure{'s' if beside > 1 else ''}" if beside else ""
    return f"*{answer.claim.name}* n {_usual(answer)}{others}"


def _usual(answer: Answer) -> int:
    """The number of seeds that most settings have."""
    counts = Counter(found.effect.count for found in answer.findings.values())
    return max(counts, key=lambda count: (counts[count], count), default=0)


def cell(answer: Answer, name: str) -> str:
    """Returns what was found on a claim in a setting, as a cell of the table."""
    failed = answer.failed()[name]
    lost = [f"{failed} failed"] if failed else []
    found = answer.findings.get(name)
    if found is None:
        return " ".join(["×", *lost]) if lost else ""
    return " ".join([_sign(found), _effect(found), *_seeds(answer, name), *_likes(found), *lost])


def _sign(found: Finding) -> str:
    if found.equivalent:
        return "="
    return CONTESTED[found.sign] if found.contested else SIGNS[found.sign]


def _effect(found: Finding) -> str:
    if not found.seeds and found.lacking:
        return found.lacking
    return f"{found.scale.told(found.effect)}{f' {MARK}' if _reason(found) else ''}"


def _reason(found: Finding) -> str:
    """Why there is no verdict in spite of seeds enough."""
    return found.lacking if found.effect.count >= RUNS_FOR_A_VERDICT else ""


def _seeds(answer: Answer, name: str) -> list[str]:
    count, trained = answer.findings[name].effect.count, answer.trained[name]
    if count < trained:
        return [f"n {count} of {trained}"]
    return [] if count == _usual(answer) else [f"n {count}"]


def _likes(found: Finding) -> list[str]:
    likes = list(found.agreement.values())
    return [f"+{likes.count('+')} −{likes.count('−')}"] if likes and found.effect.count else []


def _mean(pooled: Finding) -> str:
    if pooled.effect.count < 2:
        return ""
    return f"{_sign(pooled)} {pooled.scale.told(pooled.effect)} n {pooled.effect.count}"
