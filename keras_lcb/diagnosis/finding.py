"""One thing that is found in a run, with what it rests on and what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"


@dataclasses.dataclass(frozen=True)
class Advice:
    """One thing to try.

    Attributes:
        kind: What is changed, in a word or two, for programs: "initializer", "clipping", ….
        text: What to do, as a sentence.
        code: How that is written, where it helps.
    """

    kind: str
    text: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.code}".strip()


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        layers: Names of the layers concerned, in depth order; empty for the whole network.
        updates: The first and the last update that it was seen at.
        says: What was seen, as a sentence.
        evidence: The numbers it rests on, by name.
        sure: "certain" for what the run states, "likely" or "possible" for what is inferred.
        try_next: What to try, best first.
        name: What is found, such as "dead units": the name of the rule.
        rule: The rule in words.
        source: Where the rule comes from.
    """

    layers: tuple[str, ...]
    updates: tuple[int, int]
    says: str
    evidence: Mapping[str, float]
    sure: str
    try_next: tuple[Advice, ...]
    name: str = ""
    rule: str = ""
    source: str = ""

    def __str__(self) -> str:
        parts = [f"{self.name[0].upper()}{self.name[1:]} ({self.sure}): {self.says}"]
        parts += [f"Rule: {self.rule} Source: {self.source}"] if self.rule else []
        parts += [f"Try: {advice}" for advice in self.try_next]
        return "\n  ".join(parts)


def listed(names: tuple[str, ...] | list[str], most: int = 4) -> str:
    """Returns names as a sentence has them, the many in the middle left out.

    Example:
    >>> listed(["a"]), listed(["a", "b", "c"]), listed(list("abcdefg"))
    ('a', 'a, b and c', 'a, b, … and g (7 layers)')
    """
    if len(names) > most:
        return f"{', '.join(names[:2])}, … and {names[-1]} ({len(names)} layers)"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
