"""Registers exercises, checks answers to them, and gives hints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_lcb.exercises.reading import is_open

# What a grader returns: whether the answer is right, and a comment.
Grade = tuple[bool, str]


class NoAnswer(Exception):
    """Raised by a grader if the exercise has no right answer for the given run."""


@dataclass(frozen=True)
class Verdict:
    """The result of `check`, which a notebook shows as text.

    Attributes:
        exercise: The number of the exercise, such as `"02.1"`.
        right: Whether the answer is right; `None` if there is no answer, or there can be none.
        said: A comment on the answer.
        checked: What the answer was compared with.
    """

    exercise: str
    right: bool | None
    said: str
    checked: str

    def __repr__(self) -> str:
        """Returns the verdict in words."""
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

    @property
    def evidence(self) -> set[str]:
        """The names of what the grader takes beside the answer."""
        return set(inspect.signature(self.grade).parameters) - {"answer"}


_EXERCISES: dict[str, _Exercise] = {}


def exercise(
    name: str, *, checked: str, hints: Sequence[str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a grader, a function that takes the answer and the evidence and returns a `Grade`.

    Args:
        name: The numbers of the tutorial and the exercise, such as `"02.1"`.
        checked: What the answer is compared with. It must not give the answer away.
        hints: The hints. Each helps more than the previous one.
    """

    def register(grade: Callable[..., Grade]) -> Callable[..., Grade]:
        if name in _EXERCISES:
            raise ValueError(f"There is already an exercise {name}. Choose another number.")
        _EXERCISES[name] = _Exercise(grade, checked, tuple(hints))
        return grade

    return register


def names() -> list[str]:
    """Returns the numbers of all exercises, in order.

    Example:
    >>> names()[:2]
    ['01.1', '01.2']
    """
    return sorted(_EXERCISES)


def check(name: str, answer: Any, **evidence: Any) -> Verdict:
    """Grades the answer to an exercise.

    Args:
        name: The exercise's number.
        answer: The answer; `...` or `None` if there is none yet. Any usual form will do: 0.25,
            "1/4", "25 %", an array of one element, "layer 3" for "layer_3".
        **evidence: What the exercise asks about, such as `run=run`.

    Returns:
        The verdict, which says what was checked.

    Raises:
        ValueError: If there is no such exercise. An answer of whatever kind raises nothing.

    Example:
        >>> check("01.3", ...)
        Exercise 01.3: open. Put your answer in place of the dots and run the cell again.
        For help: exercises.hint("01.3")
        >>> check("01.3", 1 / 120)
        Exercise 01.3: right. One of the 5! = 120 orders, each as likely as the others.
        Checked: your number, against the share of all orders of five layers, within 1 %.
    """
    asked = _asked(name)
    right: bool | None
    if is_open(answer):
        right, said = None, "Put your answer in place of the dots and run the cell again."
    elif set(evidence) != asked.evidence:
        given = "".join(f", {one}={one}" for one in sorted(asked.evidence))
        right, said = None, f'Call it as in the notebook: exercises.check("{name}", answer{given}).'
    else:
        right, said = _graded(asked.grade, answer, evidence)
    return Verdict(name, right, said, asked.checked)


def _graded(
    grade: Callable[..., Grade], answer: Any, evidence: dict[str, Any]
) -> tuple[bool | None, str]:
    try:
        return grade(answer, **evidence)
    except NoAnswer as reason:
        return None, str(reason)
    except Exception as error:  # whatever an answer or a run of a learner may be
        said = f"What you passed cannot be read as an answer ({type(error).__name__})."
        return False, f"{said} Compare its kind with what the exercise asks for."


def hint(name: str, number: int = 1) -> str:
    """Returns a hint for an exercise. Later hints help more.

    Args:
        name: The exercise's number.
        number: The number of the hint. Defaults to 1, the first one.

    Raises:
        ValueError: If there is no such exercise or no such hint.

    Example:
        >>> hint("01.3")
        'Hint 1 of 2: In how many orders can five layers come in? More: exercises.hint("01.3", 2)'
    """
    hints = _asked(name).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"Exercise {name} has hints 1 to {len(hints)}; received {number!r}.")
    more = f' More: exercises.hint("{name}", {number + 1})' if number < len(hints) else ""
    return f"Hint {number} of {len(hints)}: {hints[number - 1]}{more}"


def _asked(name: str) -> _Exercise:
    if name not in _EXERCISES:
        raise ValueError(f"There is no exercise {name!r}. The exercises are {', '.join(names())}.")
    return _EXERCISES[name]
