"""Reads what learners type as answers: numbers, names and sequences, in any usual form."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

_MOST = 1000  # elements of an answer that are read; an iterator may have no end
_MIXED = re.compile(r"([+-]?)\s*(\d+)\s+(\d+)\s*/\s*(\d+)")  # 1 3/4
_FRACTION = re.compile(r"([+-]?)(\d*)([¼-¾⅐-⅞])")  # ½ or 1¾
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")


def is_open(answer: Any) -> bool:
    """Returns whether there is no answer yet: `...`, `None`, or a container of nothing else.

    Example:
        >>> is_open({"first": ..., "last": ...})
        True
    """
    if type(answer) is dict:
        answer = list(answer.values())
    elements = answer if type(answer) in (list, tuple) and answer else [answer]
    return all(one is None or one is ... for one in elements)


def number(answer: Any) -> float | None:
    """Returns an answer as a number, `None` if it is none.

    Numbers may be Python's or those of any library, text, or alone in a list or an array. Text may
    be a fraction (also a mixed one, such as 1¾ or 1 3/4), a percentage or have a comma.

    Example:
        >>> [number(text) for text in ("1/4", "25 %", "¼", "0,25", "2,000", "two")]
        [0.25, 0.25, 0.25, 0.25, 2000.0, None]
    """
    value = _alone(answer)
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return _from_text(value) if isinstance(value, str) else float(value)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def name(answer: Any, known: Sequence[str]) -> str | None:
    """Returns which of the known names is meant, `None` if none is.

    Neither case nor spaces, hyphens, underscores and quotes matter.

    Example:
        >>> name(" Layer 3", ["layer_3", "head"])
        'layer_3'
    """
    value = _alone(answer)
    if not isinstance(value, str):
        return None
    if value in known:
        return value
    meant = [one for one in known if _letters(one) == _letters(value)]
    return meant[0] if len(meant) == 1 else None


def sequence(answer: Any) -> list[Any] | None:
    """Returns the elements of an answer in their order, `None` if it has no order.

    Text is split at commas, semicolons, arrows and spaces. A dictionary whose values are numbers
    gives its keys, ordered by these numbers.

    Example:
        >>> sequence("1, 3, 10"), sequence({"b": 2, "a": 1})
        (['1', '3', '10'], ['a', 'b'])
    """
    if isinstance(answer, bytes | Set):
        return None
    if isinstance(answer, str):
        return re.findall(r"[^\s,;()\[\]<>→]+", answer.replace("->", " ")) or None
    if isinstance(answer, Mapping):
        places = {key: number(place) for key, place in answer.items()}
        if any(place is None for place in places.values()):
            return None
        return sorted(places, key=lambda key: places[key] or 0.0)
    try:
        return list(itertools.islice(answer, _MOST))
    except TypeError:
        return None


def key(answer: Any, known: Sequence[Any]) -> Any:
    """Returns which of the known numbers or names is meant, `None` if none is."""
    value = number(answer)
    for one in known:
        if isinstance(one, str):
            continue
        if value is not None and value == float(one):
            return one
    return name(answer, [one for one in known if isinstance(one, str)])


def _alone(answer: Any) -> Any:
    """Returns the only element of a list or an array, or the answer itself."""
    if isinstance(answer, str | bytes):
        return answer
    if isinstance(answer, list | tuple):
        return _alone(answer[0]) if len(answer) == 1 else answer
    values = getattr(answer, "values", answer)  # of xarray and pandas
    if not isinstance(values, np.ndarray):
        return answer
    return values.item() if values.size == 1 else answer


def _from_text(text: str) -> float:
    text = text.strip().strip("'\"").replace("−", "-").replace("_", "").strip()
    if text.endswith("%"):
        return _from_text(text[:-1]) / 100
    if (mixed := _MIXED.fullmatch(text)) and int(mixed[3]) < int(mixed[4]):
        sign, whole, above, below = mixed.groups()
        return float(f"{sign}1") * (int(whole) + int(above) / int(below))
    text = text.replace(" ", "")
    if fraction := _FRACTION.fullmatch(text):
        sign, whole, part = fraction.groups()
        return float(f"{sign}1") * (float(whole or 0) + unicodedata.numeric(part))
    above, bar, below = text.partition("/")
    if bar:
        return _from_text(above) / _from_text(below)
    text = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", ".")
    return float(text)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def short(value: Any) -> str:
    """Returns an answer as a short text, for a comment on it."""
    try:
        text = repr(value)
    except Exception:  # a learner's class may have any `__repr__`
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."
