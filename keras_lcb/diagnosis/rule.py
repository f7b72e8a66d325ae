"""What a rule consists of: how it examines a run, what it needs for that, and its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from keras_lcb.diagnosis.finding import Finding
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
    """

    look: Callable[[Observed], Iterator[Finding]]
    says: str
    source: str
    needs: tuple[str, ...] = ()
    records: int = 1
    at_end: bool = False
    against: tuple[str, ...] = ()
