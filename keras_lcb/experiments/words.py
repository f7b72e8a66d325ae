"""Answers in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keras_lcb.experiments.claim import Answer

HOLDS, DEPENDS, FAILS, OPEN = (
    "Holds",
    "Depends on the setting",
    "Does not hold",
    "Open",
)
MEANINGS = {
    HOLDS: "as claimed wherever there is a verdict, and in at least half of the settings",
    DEPENDS: "as claimed in some settings, otherwise in others",
    FAILS: "otherwise than claimed wherever there is a verdict, and in at least half of the "
    "settings",
    OPEN: "no verdict, or verdicts in less than half of the settings, all alike",
}


def outcome(answer: Answer) -> str:
    """Returns which of the four a claim's verdicts amount to."""
    verdicts = [verdict for verdict in answer.verdicts().values() if verdict != "inconclusive"]
    as_claimed = sum(verdict in answer.claim.holds for verdict in verdicts)
    otherwise = len(verdicts) - as_claimed
    if as_claimed and otherwise:
        return DEPENDS
    enough = len(verdicts) * 2 >= len(answer.claim.settings)
    if not verdicts or not enough:
        return OPEN
    return HOLDS if as_claimed else FAILS


def summary(answers: Sequence[Answer]) -> list[str]:
    """Returns paragraphs: what holds, what depends, what does not hold, what stays open."""
    told = []
    for kind in (HOLDS, DEPENDS, FAILS, OPEN):
        own = [sentence(answer) for answer in answers if outcome(answer) == kind]
        if own:
            told.append(f"**{kind}** ({MEANINGS[kind]}):\n\n" + "\n".join(f"- {s}" for s in own))
    return told


def sentence(answer: Answer) -> str:
    """Returns what was found on a claim."""
    claim = answer.claim
    counted = _counted(answer.verdicts())
    where = "; ".join(
        f"{verdict} in {len(names)}{_listed(names) if verdict != 'inconclusive' else ''}"
        for verdict, names in counted.items()
    )
    missing = len(claim.settings) - len(answer.findings)
    unrun = f" {missing} of {len(claim.settings)} settings were not run yet." if missing else ""
    if not answer.findings:
        return f"{claim.says} ({_capital(claim.source)}.) Not run yet."
    over = ""
    if not answer.pooled.lacking:
        mean = claim.scale.told(answer.pooled.effect)
        over = f" {_capital(claim.effect)}, mean over settings: {mean}."
    return f"{claim.says} ({_capital(claim.source)}.) {_capital(where)}.{over}{unrun}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _counted(verdicts: Mapping[str, str]) -> dict[str, list[str]]:
    """Settings by verdict, the most frequent first and "inconclusive" last."""
    counted: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        counted.setdefault(verdict, []).append(name)
    order = sorted(counted, key=lambda verdict: (verdict == "inconclusive", -len(counted[verdict])))
    return {verdict: counted[verdict] for verdict in order}


def _listed(names: Sequence[str]) -> str:
    most = 3
    further = f" and {len(names) - most} more" if len(names) > most else ""
    return f" ({'; '.join(names[:most])}{further})"
