"""A finding: one problem in a run, with its evidence and advice."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"


@dataclasses.dataclass(frozen=True)
class Advice:
    """One thing to try.

    Attributes:
        kind: What to change, as a short key for programs, such as "initializer" or "clipping".
        text: What to do, as a sentence.
        code: An example in code; empty if the sentence needs none.
    """

    kind: str
    text: str
    code: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.code}".strip()


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem that a rule found in a run.

    Attributes:
        layers: Names of the layers concerned, in depth order; empty if the whole network is.
        updates: The first and the last update at which the problem was seen.
        says: What was seen, as a sentence.
        evidence: The numbers that support the finding, by name.
        sure: "certain" if the run states the problem; "likely" or "possible" if it is inferred.
        try_next: Advice, the best first.
        name: The name of the problem, which is also that of the rule, such as "dead units".
        rule: The rule in words.
        source: Where the rule comes from.

    Raises:
        ValueError: If a field has a value of another type, or `sure` is another word.
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

    def __post_init__(self) -> None:
        sure = (CERTAIN, LIKELY, POSSIBLE)
        expected = {
            "layers": ("a tuple of names", are_names(self.layers)),
            "updates": ("two whole numbers", _are_all(self.updates, numbers.Integral, count=2)),
            "says": ("a text", isinstance(self.says, str)),
            "evidence": ("a mapping from names to numbers", _is_evidence(self.evidence)),
            "sure": (f"one of {', '.join(map(repr, sure))}", self.sure in sure),
            "try_next": ("a tuple of Advice", _are_all(self.try_next, Advice)),
        }
        check_fields(self, "finding", expected)

    @property
    def in_short(self) -> str:
        """Returns the name, how sure the finding is, and what was seen, without the advice."""
        return f"{self.name[0].upper()}{self.name[1:]} ({self.sure}): {self.says}"

    def __str__(self) -> str:
        parts = [self.in_short]
        parts += [f"Rule: {self.rule} Source: {self.source}"] if self.rule else []
        parts += [f"Try: {advice}" for advice in self.try_next]
        return "\n  ".join(parts)


def check_fields(of: Any, kind: str, expected: Mapping[str, tuple[str, bool]]) -> None:
    """Raises a `ValueError` if a field has a wrong type or value. It names the first such field.

    Args:
        of: The object with the fields.
        kind: What it is, in a word.
        expected: For each field, what it must be, and whether it is.
    """
    for name, (what, is_so) in expected.items():
        if not is_so:
            raise ValueError(
                f"`{name}` of a {kind} must be {what}; received {getattr(of, name)!r}."
            )


def are_names(value: Any) -> bool:
    """Returns whether a value is a tuple of texts."""
    return _are_all(value, str)


def _are_all(value: Any, kind: type, count: int | None = None) -> bool:
    """Returns whether a value is a tuple whose elements are all of one type."""
    fits = isinstance(value, tuple) and count in (None, len(value))
    return fits and all(isinstance(each, kind) for each in value)


def _is_evidence(value: Any) -> bool:
    fits = isinstance(value, Mapping) and are_names(tuple(value))
    return fits and _are_all(tuple(value.values()), numbers.Real)


def listed(names: tuple[str, ...] | list[str], most: int = 4) -> str:
    """Joins names for use in a sentence, and leaves out those in the middle of a long list.

    Example:
    >>> listed(["a"]), listed(["a", "b", "c"]), listed(list("abcdefg"))
    ('a', 'a, b and c', 'a, b, … and g (7 layers)')
    """
    if len(names) > most:
        return f"{', '.join(names[:2])}, … and {names[-1]} ({len(names)} layers)"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
