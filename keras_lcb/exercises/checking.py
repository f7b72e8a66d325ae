"""How an exercise is registered, asked, checked and hinted at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# What a grader returns: whether the answer is right, and what there is to say about it.
Grade = tuple[bool, str]


class NoAnswer(Exception):
    """Raised by a grader where the given evidence has no right answer at all."""


@dataclass(frozen=True)
class Verdict:
    """What `check` found; shown as text at the end of a cell.

    Attributes:
        exercise: Its number, such as `"02.1"`.
        right: `True` or `False`; `None` where nothing was answered, or nothing can be.
        said: What there is to say about this answer.
        checked: What the answer was compared with.
    """

    exercise: str
    right: bool | None
    said: str
    checked: str

    def __repr__(self) -> str:
        """The verdict in words."""
        found = {True: "right", False: "not yet right", None: "open"}[self.right]
        lines = [f"Exercise {self.exercise}: {found}. {self.said}".rstrip()]
        if self.right is not None:
            lines.append(f"Checked: {self.checked}")
        if not self.right:
            lines.append(f'For help: exercises.hint("{self.exercise}")')
        return "\n".join(lines)


@dataclass(frozen=True)
class _Exercise:
    grade: Callable[..., Grade]
    checked: str
    hints: tuple[str, ...]


_EXERCISES: dict[str, _Exercise] = {}


def exercise(
    name: str, *, checked: str, hints: Sequence[str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a grader, which takes the answer and the evidence and returns a `Grade`.

    Args:
        name: Number of the tutorial and of the exercise, such as `"02.1"`.
        checked: What the answer is compared with; it must not give the answer away.
        hints: Each a step further than the one before.
    """

    def register(grade: Callable[..., Grade]) -> Callable[..., Grade]:
        if name in _EXERCISES:
            raise ValueError(f"There are two exercises {name}.")
        _EXERCISES[name] = _Exercise(grade, checked, tuple(hints))
        return grade

    return register


def names() -> list[str]:
    """Return the numbers of all exercises, in order."""
    return sorted(_EXERCISES)


def check(name: str, answer: Any, **evidence: Any) -> Verdict:
    """Grade the answer to an exercise.

    Args:
        name: The exercise's number.
        answer: The answer; `...` or `None` as long as there is none.
        **evidence: What the exercise is about, such as `run=run`.

    Returns:
        The verdict, which says what was checked.

    Raises:
        ValueError: If there is no such exercise.

    Example:
        >>> check("01.3", ...)
        Exercise 01.3: open. Put your answer in place of the dots and run the cell again.
        For help: exercises.hint("01.3")
        >>> check("01.3", 1 / 120)
        Exercise 01.3: right. One of the 5! = 120 orders, each as likely as the others.
        Checked: your number, against the share of all orders of five layers, within 1 %.
    """
    asked = _asked(name)
    if answer is None or answer is ...:
        said = "Put your answer in place of the dots and run the cell again."
        return Verdict(name, None, said, asked.checked)
    try:
        right, said = asked.grade(answer, **evidence)
    except NoAnswer as reason:
        return Verdict(name, None, str(reason), asked.checked)
    return Verdict(name, right, said, asked.checked)


def hint(name: str, number: int = 1) -> str:
    """Return a hint for an exercise; later ones say more.

    Args:
        name: The exercise's number.
        number: Which hint, from 1 on.

    Raises:
        ValueError: If there is no such exercise or no such hint.
    """
    hints = _asked(name).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"Exercise {name} has hints 1 to {len(hints)}, not {number!r}.")
    more = f' More: exercises.hint("{name}", {number + 1})' if number < len(hints) else ""
    return f"Hint {number} of {len(hints)}: {hints[number - 1]}{more}"


def _asked(name: str) -> _Exercise:
    if name not in _EXERCISES:
        raise ValueError(f"There is no exercise {name!r}; there are {', '.join(names())}.")
    return _EXERCISES[name]
