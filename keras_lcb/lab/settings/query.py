"""Names and values as the query of an address, and back."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

_LONGEST = 2000  # characters of a line; the longest that a lab writes has some hundreds


def as_query(values: dict[str, Any]) -> str:
    """Returns names and values as `a=1&b=2`, with as few escaped characters as possible."""
    texts = {name: _as_text(value) for name, value in values.items()}
    return urlencode(texts, safe="()*,/", quote_via=quote)


def from_query(text: str) -> dict[str, str]:
    """Returns the names and values of a text such as `a=1&b=2`.

    Raises:
        ValueError: If the text has another form or is too long, or a name occurs twice.
    """
    if len(text) > _LONGEST:
        raise ValueError(
            f"A lab's settings have at most {_LONGEST:,} characters; received {len(text):,}."
        )
    text = text.strip().lstrip("?")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise ValueError(
            f"A lab's settings must be a line such as depth=3&learning_rate=0.1; received {text!r}."
        ) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1)
        raise ValueError(f"The setting '{twice}' occurs twice in {text!r}. Remove one of them.")
    return given


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(value)
    return str(value)
