"""What is known of one setting of a lab, stated once: label, term, limits, words, control."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from keras_lcb.lab.controls import Control


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a lab knows of a setting, beside its name and its default.

    Attributes:
        label: The label of its control.
        term: An explanation of the term, which the control shows.
        said: How it is told in a list of settings, with `{}` for the value. Defaults to "{}".
        silent: A value that is not worth telling. Defaults to `None`: all are told.
        live: Whether it may change while training runs. Defaults to `False`.
        projector: Whether it is shown on a projector, where there is little room. Defaults to
            `False`.
    """

    label: str
    term: str
    said: str = "{}"
    silent: Any = None
    live: bool = False
    projector: bool = False
    shown: ClassVar[bool] = True  # whether it has a control that is shown

    def checked(self, name: str, value: Any) -> Any:
        """Returns a value in the setting's type, also from a text.

        Raises:
            ValueError: If the value is not valid.
        """
        raise TypeError(f"{type(self).__name__} must define its method `checked`.")

    def control(self, name: str, value: Any) -> Control:
        """Returns the control with which a user sets it."""
        raise TypeError(f"{type(self).__name__} must define its method `control`.")

    def words(self, value: Any) -> str:
        """Returns the value in a few words, for lists of settings; may be ""."""
        return "" if value == self.silent else self.said.format(value)

    def words_apart(self, value: Any) -> str:
        """Returns the value in a few words where another one stands beside it.

        So a value that is not worth telling by itself is told. One that changes no outcome is not.
        """
        if self.words(value) or not self.said:
            return self.words(value)
        return f"{self.label.lower()}: {self.text(value)}"

    def text(self, value: Any) -> str:
        """Returns the value as text, without what it is a value of."""
        return str(value) or "none"


@dataclass(frozen=True, kw_only=True)
class Number(Setting):
    """A number between two limits.

    Attributes:
        low, high: The limits.
        whole: Whether it is a whole number. Defaults to `True`.
        log: Whether its slider is logarithmic. Defaults to `False`.
    """

    low: float
    high: float
    whole: bool = True
    log: bool = False

    def checked(self, name: str, value: Any) -> Any:
        """Returns the number, also from a text."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            raise ValueError(f"`{name}` must be a number; received {value!r}.")
        if self.whole and number != round(number):
            raise ValueError(f"`{name}` must be a whole number; received {value!r}.")
        if not self.low <= number <= self.high:
            raise ValueError(
                f"`{name}` must be from {self.low:g} to {self.high:g}; received {number:g}."
            )
        return int(number) if self.whole else number

    def control(self, name: str, value: Any) -> Control:
        """Returns a slider with a box beside it."""
        from keras_lcb.lab.controls.number import NumberControl

        return NumberControl(self, value)


@dataclass(frozen=True, kw_only=True)
class Choice(Setting):
    """One of several values.

    Attributes:
        options: The text of each value that can be chosen.
        words_for: How values are told in a list of settings. Defaults to what `said` says.
    """

    options: Mapping[Any, str]
    words_for: Mapping[Any, str] = dataclasses.field(default_factory=dict)

    def checked(self, name: str, value: Any) -> Any:
        """Returns the option, also from a text."""
        known = {str(option).lower(): option for option in self.options}
        text = str(value).strip().lower()
        if text not in known:
            truth = set(known) == {"true", "false"}
            expected = "true or false" if truth else f"one of {', '.join(known)}"
            raise ValueError(f"`{name}` must be {expected}; received {value!r}.")
        return known[text]

    def control(self, name: str, value: Any) -> Control:
        """Returns a list to choose from."""
        from keras_lcb.lab.controls.choice import ChoiceControl

        options = [(text, option) for option, text in self.options.items()]
        return ChoiceControl(self.label, self.term, options, value)

    def words(self, value: Any) -> str:
        """Returns the value in a few words."""
        return self.words_for.get(value, super().words(value))

    def text(self, value: Any) -> str:
        """Returns the text of the option."""
        return self.options[value]


@dataclass(frozen=True, kw_only=True)
class Formula(Setting):
    """The name of something known, or a formula of x.

    Attributes:
        names: The known names.
        formula_term: An explanation of what a formula may be.
        read: A function of a name or formula that raises a `ValueError`, meant for the user, if it
            is not valid.
    """

    names: tuple[str, ...]
    formula_term: str
    read: Callable[[str], Any]

    def checked(self, name: str, value: Any) -> Any:
        """Returns the name or formula without spaces around it."""
        if not isinstance(value, str):
            raise ValueError(f"`{name}` must be a text; received {value!r}.")
        self.read(value.strip())
        return value.strip()

    def control(self, name: str, value: Any) -> Control:
        """Returns a list of names, with a box for a formula."""
        from keras_lcb.lab.controls.formula import FormulaControl

        return FormulaControl(self, value)


@dataclass(frozen=True, kw_only=True)
class Schedule(Setting):
    """Learning rates that are set on the way, as a text such as "1200:0.02,2400:0.005".

    It has no control: it comes about when a user changes the learning rate during training.
    """

    shown: ClassVar[bool] = False

    def checked(self, name: str, value: Any) -> Any:
        """Returns the text, after reading it."""
        pairs = pairs_of(value if isinstance(value, str) else "?")
        if pairs is None or any(update < 0 or not rate > 0 for update, rate in pairs):
            raise ValueError(
                f"`{name}` must be updates with learning rates, such as 1200:0.02,2400:0.005; "
                f"received {value!r}."
            )
        return as_changes(sorted(pairs))

    def control(self, name: str, value: Any) -> Control:
        """Returns a control that shows nothing."""
        from keras_lcb.lab.controls.kept import KeptControl

        return KeptControl(value)

    def words(self, value: Any) -> str:
        """Returns the rates in a few words."""
        return ", ".join(f"rate {rate:g} from {at:,}" for at, rate in pairs_of(value) or [])


def pairs_of(text: str) -> list[tuple[int, float]] | None:
    """Returns the updates and learning rates of a text of a `Schedule`; `None` if it is none."""
    try:
        parts = [part.split(":") for part in text.split(",") if part.strip()]
        pairs = [(int(update), float(rate)) for update, rate in parts]
    except ValueError:
        return None
    return pairs if all(math.isfinite(rate) for _, rate in pairs) else None


def as_changes(pairs: Iterable[tuple[int, float]]) -> str:
    """Returns updates and learning rates as the text of a `Schedule`."""
    return ",".join(f"{update}:{rate:g}" for update, rate in pairs)


def setting(default: Any, known: Setting) -> Any:
    """Declares a field of a settings class: its default, and what is known of it."""
    return dataclasses.field(default=default, metadata={"setting": known})
