"""`Declared`, the base of the settings of labs: they are checked, and become one line of text."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Self

from keras_lcb.lab.settings.query import as_query, from_query
from keras_lcb.lab.settings.setting import Number, Setting, pairs_of


class Declared:
    """The base of a frozen dataclass, each field of which is declared with `setting`.

    A session needs six of the fields: `learning_rate`, `updates`, `seed`, `seeds`, `speed` and
    `changes`.

    Attributes:
        records: How many records a training has at most.
        fewest_updates: How many updates there are between two records at least.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    records: ClassVar[int] = 60
    fewest_updates: ClassVar[int] = 1

    learning_rate: float
    updates: int
    seed: int
    seeds: int
    speed: int
    changes: str

    def __post_init__(self) -> None:
        for name, known in self.declared().items():
            object.__setattr__(self, name, known.checked(name, getattr(self, name)))

    @classmethod
    def declared(cls) -> dict[str, Setting]:
        """Returns what is known of each setting, by name."""
        return {field.name: field.metadata["setting"] for field in dataclasses.fields(cls)}

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers of such a network, as far as settings tell."""
        return ()

    @property
    def planned(self) -> int:
        """The updates of one training, in whole records."""
        return math.ceil(self.updates / self.record_every) * self.record_every

    @property
    def record_every(self) -> int:
        """Updates between two records."""
        return max(self.fewest_updates, math.ceil(self.updates / self.records))

    @property
    def planned_rates(self) -> list[tuple[int, float]]:
        """Pairs of an update and the learning rate to set there."""
        return pairs_of(self.changes) or []

    def to_text(self) -> str:
        """Returns the settings as one line, which is also the query of an address."""
        return as_query(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Returns settings from a line of `to_text`. Those it does not name have their defaults.

        Raises:
            ValueError: If a name is unknown, or a value is not valid.
        """
        given: dict[str, Any] = dict(from_query(text))
        known = cls.declared()
        for name in given:
            if name not in known:
                raise ValueError(
                    f"The settings of a lab are {', '.join(known)}; received '{name}'."
                )
        return cls(**given)

    def in_words(self, beside: Declared | None = None) -> str:
        """Returns the settings in a few words: all of them, or those that differ from `beside`."""
        settings = self.declared().items()
        if beside is None:
            words = [known.words(getattr(self, name)) for name, known in settings]
            return ", ".join(filter(None, words))
        words = [
            known.words_apart(getattr(self, name))
            for name, known in settings
            if getattr(self, name) != getattr(beside, name, None)
        ]
        return ", ".join(filter(None, words)) or "the same settings"

    def apart(self, other: Declared, letters: int) -> tuple[str, str]:
        """Describes how two settings differ: one text for each of them.

        Args:
            other: The other settings, of the same lab.
            letters: How long the words may be. Both name the same settings; those for which there
                is no room are counted.
        """
        pairs = [
            (known.words_apart(mine), known.words_apart(theirs))
            for name, known in self.declared().items()
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]
        for count in range(len(pairs), -1, -1):
            left = len(pairs) - count
            counted = f"and {left} more" if count else f"{left} settings"
            rest = [counted] if left else []
            mine, theirs = ([word for word in words if word] for words in _sides(pairs[:count]))
            texts = ", ".join([*mine, *rest]), ", ".join([*theirs, *rest])
            if max(map(len, texts)) <= letters:
                break
        return texts[0] or "the same settings", texts[1] or "the same settings"


def _sides(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


def limits(settings: type[Declared]) -> dict[str, tuple[float, float]]:
    """Returns the lowest and the highest value of each setting that is a number."""
    return {
        name: (known.low, known.high)
        for name, known in settings.declared().items()
        if isinstance(known, Number)
    }
