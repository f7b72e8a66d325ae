"""Answers in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras_lcb.experiments.claim import Answer
from keras_lcb.experiments.finding import Finding

HOLDS, DEPENDS, FAILS, OPEN = (
    "Holds",
    "Depends on the setting",
    "Does not hold",
    "Open",
)
READING = (
    'Claims of "Which Layer is Learning Faster?" (Chen, Yuille and Zhou, ICLR 2023) and our own, '
    "in several settings (data, network, optimizer) over several seeds. Counted are sure verdicts. "
    "A verdict is *contested* if more of the other measures contradict it than support it. Means "
    "are over settings: a ratio of 1, or a correlation of 0, is no effect."
)
MEANINGS = (
    "A claim *holds* if the sure verdicts that are not contested are in at least half of its "
    "settings, and all as claimed. It *does not hold* if they are all otherwise, *depends on the "
    "setting* if there are both, or if it would hold but its control does not, and else is *open*."
)
_AS_CONTROL = {DEPENDS: "depends on the setting", FAILS: "does not hold", OPEN: "is open"}


def outcome(answer: Answer) -> str:
    """Returns which of the four a claim's verdicts amount to; those contested do not count."""
    clear = _clear(answer)
    as_claimed = len(_as_claimed(answer, clear))
    if 0 < as_claimed < len(clear):
        return DEPENDS
    if not clear or len(clear) * 2 < len(answer.claim.settings):
        return OPEN
    return HOLDS if as_claimed else FAILS


def outcomes(answers: Sequence[Answer]) -> dict[str, str]:
    """Returns the outcome of each claim by its name: none holds whose control does not."""
    alone = {answer.claim.name: outcome(answer) for answer in answers}
    return {
        answer.claim.name: DEPENDS
        if alone[answer.claim.name] == HOLDS and _lacks_control(answer, alone)
        else alone[answer.claim.name]
        for answer in answers
    }


def summary(answers: Sequence[Answer]) -> list[str]:
    """Returns paragraphs: what holds, what depends, what does not hold, what stays open."""
    found = outcomes(answers)
    told = []
    for kind in (HOLDS, DEPENDS, FAILS, OPEN):
        own = [answer for answer in answers if found[answer.claim.name] == kind]
        if own:
            lines = (f"- {sentence(answer)}{_control(answer, found)}" for answer in own)
            told.append(f"**{kind}**\n\n" + "\n".join(lines))
    return told


def sentence(answer: Answer) -> str:
    """Returns what was found on a claim: in how many settings, and how much on average."""
    claim = answer.claim
    total = len(claim.settings)
    counted = ", ".join(_verdicts(answer) + _lacking(answer))
    said = f"{claim.says} Of {total} setting{'' if total == 1 else 's'}, {counted}"
    if answer.pooled.lacking:
        return f"{said}."
    mean = f"mean {claim.scale.name.split()[-1]} {claim.scale.told(answer.pooled.effect)}"
    sure = answer.pooled.sign or answer.pooled.equivalent
    return f"{said}; {mean}{f' ({claim.verdict(answer.pooled)})' if sure else ''}."


def _verdicts(answer: Answer) -> list[str]:
    """In how many settings the verdict is as claimed, otherwise, or contested."""
    clear = _clear(answer)
    as_claimed = _as_claimed(answer, clear)
    named = {
        "as claimed": list(as_claimed),
        "otherwise": [name for name in clear if name not in as_claimed],
        "contested": [name for name, found in answer.findings.items() if found.contested],
    }
    few = outcome(answer) == OPEN  # so that where says little
    told = [
        f"{len(names)} {what}{'' if few else _where(names, answer.claim.settings)}"
        for what, names in named.items()
        if names
    ]
    return told or ["none sure"]


def _lacking(answer: Answer) -> list[str]:
    """How many settings have no run that tells anything, by what became of them."""
    failed = answer.failed()
    without = [name for name in answer.claim.settings if name not in answer.findings]
    nowhere = [name for name, found in answer.findings.items() if found.lacking and not found.seeds]
    told = {
        "diverged or learned nothing": len(nowhere),
        "failed": sum(failed[name] > 0 for name in without),
        "not run yet": sum(not failed[name] for name in without),
    }
    return [f"{count} {what}" for what, count in told.items() if count]


def _clear(answer: Answer) -> dict[str, Finding]:
    """Settings with a verdict that other measures do not contradict."""
    return {
        name: found
        for name, found in answer.findings.items()
        if (found.sign or found.equivalent) and not found.contested
    }


def _as_claimed(answer: Answer, found: Mapping[str, Finding]) -> dict[str, Finding]:
    claim = answer.claim
    return {name: own for name, own in found.items() if claim.verdict(own) in claim.holds}


def _where(names: Sequence[str], settings: Mapping[str, object]) -> str:
    """What the names of these settings have in common that not all names of the claim have."""
    if len(names) == len(settings):
        return ""
    if len(names) == 1:
        return f" ({names[0]})"
    shared = _shared(names) - _shared(list(settings))
    return f" ({', '.join(part for part in names[0].split(', ') if part in shared)})" * bool(shared)


def _shared(names: Sequence[str]) -> set[str]:
    return set.intersection(*(set(name.split(", ")) for name in names))


def _lacks_control(answer: Answer, found: Mapping[str, str]) -> bool:
    return found.get(answer.claim.control, HOLDS) != HOLDS


def _control(answer: Answer, found: Mapping[str, str]) -> str:
    if answer.claim.control and answer.claim.control not in found:
        return f" Its control, *{answer.claim.control}*, is not on this page."
    if not _lacks_control(answer, found):
        return ""
    return f" Its control, *{answer.claim.control}*, {_AS_CONTROL[found[answer.claim.control]]}."
