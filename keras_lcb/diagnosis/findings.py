"""All findings of a run, and the rules that could not decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from keras_lcb.diagnosis.finding import Finding

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "name",
    "sure",
    "layers",
    "first_update",
    "last_update",
    "says",
    "evidence",
    "try_next",
    "rule",
    "source",
)


class Findings(Sequence[Finding]):
    """The findings of `diagnose`, a sequence that prints as sentences.

    Args:
        found: The findings, from the most to the least certain.
        untold: The reason for each rule that could not decide, by the name of the rule.
        unseen: What was not examined, as a sentence. Defaults to "": nothing was left out.
        failed: The names of the rules in `untold` that ended with an error. Defaults to none.

    Attributes:
        names: The names of the findings.
        untold: The reason for each rule that could not decide, by the name of the rule.
        unseen: What was not examined, as a sentence; empty if nothing was left out.
        failed: The names of the rules in `untold` that ended with an error.

    Example:
    >>> findings = Findings([], {"dead units": "The run holds no dead_units."})
    >>> print(findings)
    Nothing was found.
    Not decided: dead units. The run holds no dead_units.
    >>> len(findings), findings.names
    (0, [])
    """

    def __init__(
        self,
        found: Sequence[Finding],
        untold: Mapping[str, str],
        unseen: str = "",
        failed: Sequence[str] = (),
    ) -> None:
        self._found = list(found)
        self.untold = dict(untold)
        self.unseen = unseen
        self.failed = tuple(failed)

    @overload
    def __getitem__(self, index: int) -> Finding: ...

    @overload
    def __getitem__(self, index: slice) -> list[Finding]: ...

    def __getitem__(self, index: int | slice) -> Finding | list[Finding]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    @property
    def names(self) -> list[str]:
        """Returns the names of the findings, in their order."""
        return [finding.name for finding in self]

    def sentence(self) -> str:
        """Returns the most certain finding in short: its name, how sure it is, and what was seen.

        Only the names are told if several are as certain. Empty if nothing was found.

        Example:
        >>> from keras_lcb.diagnosis import Finding
        >>> says = "no update changes stem."
        >>> found = Finding(("stem",), (10, 90), says, {}, "certain", (), "frozen layer")
        >>> Findings([found], {}).sentence()
        'Frozen layer (certain): no update changes stem.'
        """
        first = [finding for finding in self if finding.sure == self[0].sure]
        if len(first) < 2:
            return "".join(finding.in_short for finding in first)
        return f"Diagnosis ({first[0].sure}): {', '.join(finding.name for finding in first)}."

    def to_dataframe(self) -> pd.DataFrame:
        """Returns a table with a row for each finding. Lists and dictionaries become text."""
        import pandas as pd

        return pd.DataFrame([_row(finding) for finding in self], columns=list(_COLUMNS))

    def __str__(self) -> str:
        told = [str(finding) for finding in self] or ["Nothing was found."]
        return "\n".join(filter(None, [*told, *self.sentences_on_untold(), self.unseen]))

    __repr__ = __str__

    def sentences_on_untold(self) -> list[str]:
        """Returns a line for each reason why rules could not decide, with the rules' names."""
        rules: dict[str, list[str]] = {}
        for name, why in self.untold.items():
            rules.setdefault(why, []).append(name)
        return [f"Not decided: {', '.join(names)}. {why}" for why, names in rules.items()]


def _row(finding: Finding) -> tuple[object, ...]:
    numbers = (f"{name} = {value:.4g}" for name, value in finding.evidence.items())
    return (
        finding.name,
        finding.sure,
        ", ".join(finding.layers),
        *finding.updates,
        finding.says,
        ", ".join(numbers),
        " ".join(map(str, finding.try_next)),
        finding.rule,
        finding.source,
    )
