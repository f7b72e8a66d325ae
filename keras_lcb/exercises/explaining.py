"""Explanations that learners write, set beside a model answer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_FEWEST_WORDS = 4  # of a sentence
_WIDTH = 88  # characters of a line in a notebook


@dataclass(frozen=True)
class _Question:
    model: str
    criteria: tuple[str, ...]


_QUESTIONS: dict[str, _Question] = {}


@dataclass(frozen=True)
class Explanation:
    """What `explain` returns, which a notebook shows as text.

    Attributes:
        question: The number of the question, such as `"01.a"`.
        written: What the learner has written; "" if that is no sentence yet.
        model: The model answer; "" as long as nothing is written.
        criteria: What to look for in one's own answer.
    """

    question: str
    written: str
    model: str
    criteria: tuple[str, ...]

    def __repr__(self) -> str:
        """Returns the explanation in words."""
        if not self.written:
            return (
                f"Explanation {self.question}: open. Write a sentence of your own in place of the "
                "dots, in quotes,\nand run the cell again. Then you see a model answer."
            )
        lines = [
            f"Explanation {self.question}. Nobody grades this: compare for yourself.",
            *_folded("You wrote: ", self.written),
            *_folded("A model answer: ", self.model),
            "Tick off what yours says, too:",
            *(line for criterion in self.criteria for line in _folded("  [ ] ", criterion)),
        ]
        return "\n".join(lines)


def question(name: str, model: str, criteria: Sequence[str]) -> None:
    """Registers a question that is answered in words.

    Args:
        name: The number of the tutorial and a letter, such as `"01.a"`.
        model: A model answer.
        criteria: What a good answer says, a short sentence each.
    """
    if name in _QUESTIONS:
        raise ValueError(f"There is already a question {name}. Choose another letter.")
    _QUESTIONS[name] = _Question(model, tuple(criteria))


def questions() -> list[str]:
    """Returns the numbers of all questions that are answered in words, in order.

    Example:
    >>> questions()[0]
    '01.a'
    """
    return sorted(_QUESTIONS)


def explain(name: str, written: Any) -> Explanation:
    """Sets what a learner has written beside a model answer.

    Text is not graded. The model answer is shown only after a sentence was written.

    Args:
        name: The question's number.
        written: What the learner has written; `...` if nothing yet.

    Raises:
        ValueError: If there is no such question.

    Example:
        >>> explain("01.a", ...)
        Explanation 01.a: open. Write a sentence of your own in place of the dots, in quotes,
        and run the cell again. Then you see a model answer.
        >>> print(explain("01.a", "The other layers build on the first.").model[:38])
        In this run the shallow layers' curves
    """
    if name not in _QUESTIONS:
        known = ", ".join(questions())
        raise ValueError(f"There is no question {name!r}. The questions are {known}.")
    asked = _QUESTIONS[name]
    text = " ".join(written.split()) if isinstance(written, str) else ""
    if len(text.split()) < _FEWEST_WORDS:
        return Explanation(name, "", "", asked.criteria)
    return Explanation(name, text, asked.model, asked.criteria)


def _folded(label: str, text: str) -> list[str]:
    return textwrap.wrap(label + text, _WIDTH, subsequent_indent=" " * len(label))
