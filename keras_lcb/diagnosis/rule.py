"""What a rule is: what it needs of a run, how it looks at it, and where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from keras_lcb.diagnosis.finding import Finding
from keras_lcb.diagnosis.observed import Observed


class CannotTell(Exception):
    """A rule raises it where signs contradict or are too few; its text is the reason."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule, the constant `RULE` of its file, whose name is that of the finding.

    Attributes:
        look: Takes what was observed and yields findings, or raises `CannotTell`.
        says: The rule in words, thresholds included.
        source: Where it comes from.
        needs: The variables of the run that it cannot do without.
        records: How many records after the start of training it needs.
        at_end: Whether it can be told only once training is over.
        against: Names of findings that contradict this one: found together, neither holds.
    """

    look: Callable[[Observed], Iterator[Finding]]
    says: str
    source: str
    needs: tuple[str, ...] = ()
    records: int = 1
    at_end: bool = False
    against: tuple[str, ...] = ()
