"""`Look`: what of a lab is shown, how large, and what the user must predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from keras_lcb.lab.controls import panel
from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.settings.line import DEFAULT
from keras_lcb.lab.views.questions import Question

# Sections that can be hidden, like the controls.
SECTIONS = ("history", "share")


@dataclass(frozen=True)
class Look:
    """What of a lab is shown.

    Attributes:
        show: The names of the controls and sections that are shown.
        pictures: The names of the pictures that are shown.
        predict: The name of the question that the user must answer before Start; "" for none.
        projector: Whether the lab is drawn for a projector.
        chosen: The values that differ from the defaults, for the line that rebuilds the lab.
    """

    show: tuple[str, ...]
    pictures: tuple[str, ...]
    predict: str
    projector: bool
    chosen: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        declared: Declaration,
        show: Sequence[str] | None,
        pictures: Sequence[str] | None,
        predict: bool | str,
        projector: bool,
    ) -> Self:
        """Returns the look that the arguments of a lab describe; see `DepthLab`.

        Raises:
            ValueError: If a name is unknown.
        """
        everything = (*panel.names(declared.settings), *SECTIONS)
        few = (*panel.names_on_projector(declared.settings), *SECTIONS)
        shown = _chosen("show", show, few if projector else everything, everything)
        every = tuple(declared.panels)
        seen = _chosen("pictures", pictures, every, every)
        question = _question(predict, declared.questions)
        values: dict[str, Any] = {
            "lab": "" if declared.name == DEFAULT else declared.name,
            "show": None if show is None else shown,
            "pictures": None if seen == every else seen,
            "predict": question,
            "projector": bool(projector),
        }
        chosen = {name: value for name, value in values.items() if value not in (None, "", False)}
        return cls(shown, seen, question, bool(projector), chosen)


def _chosen(
    name: str, given: Sequence[str] | None, default: Sequence[str], known: Sequence[str]
) -> tuple[str, ...]:
    if given is None:
        return tuple(default)
    chosen = (given,) if isinstance(given, str) else tuple(given)
    unknown = [part for part in chosen if part not in known]
    if unknown:
        raise ValueError(
            f"`{name}` must hold names out of {', '.join(known)}; received '{unknown[0]}'."
        )
    return chosen


def _question(predict: bool | str, questions: Mapping[str, Question]) -> str:
    if not predict:
        return ""
    name = next(iter(questions)) if predict is True else predict
    if name not in questions:
        raise ValueError(
            f"`predict` must be true, false or one of {', '.join(questions)}; received {predict!r}."
        )
    return str(name)
