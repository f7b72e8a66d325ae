"""What a rule consists of: how it examines a run, what it needs for that, and its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from keras_lcb.diagnosis.finding import Finding, are_names, check_fields
from keras_lcb.diagnosis.observed import Observed


class CannotTell(Exception):
    """Raised by a rule that cannot decide. Its message gives the reason."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule: the constant `RULE` of a file that has the name of the problem.

    Attributes:
        look: A function that takes the run and yields findings, or raises `CannotTell`.
        says: The rule in words, with its thresholds.
        source: Where the rule comes from.
        needs: Variables that the run must hold.
        records: The number of records that it needs after the start of training.
        at_end: Whether the rule applies only when training has ended.
        against: Names of findings that contradict this one. If both are found, neither is
            reported.

    Raises:
        ValueError: If a field has a value of another type.

    Example:
    >>> Rule(look=lambda seen: iter(()), says="A rule.", source="No one.", needs="loss")
    Traceback (most recent call last):
        ...
    ValueError: `needs` of a rule must be a tuple of names; received 'loss'.
    """

    look: Callable[[Observed], Iterator[Finding]]
    says: str
    source: str
    needs: tuple[str, ...] = ()
    records: int = 1
    at_end: bool = False
    against: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = {
            "look": ("a function", callable(self.look)),
            "says": ("a text", isinstance(self.says, str)),
            "source": ("a text", isinstance(self.source, str)),
            "needs": ("a tuple of names", are_names(self.needs)),
            "records": ("a whole number, 0 or more", _is_count(self.records)),
            "at_end": ("True or False", isinstance(self.at_end, bool)),
            "against": ("a tuple of names", are_names(self.against)),
        }
        check_fields(self, "rule", expected)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
