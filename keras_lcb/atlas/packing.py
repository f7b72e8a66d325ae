"""Many runs as one text, small enough to be part of a page."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any


def packed(forms: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns compact forms as base64 of gzip: what they say as JSON, then all their numbers.

    Numbers compress better as they are than as text. In the JSON, each `data` is where its numbers
    begin and how many bytes they take; the JSON's own length comes first, in four bytes. Equal
    forms give equal text.

    Args:
        forms: Compact forms by name; see `viewer.compact`.
    """
    numbers: list[bytes] = []
    length = 0

    def placed(value: Any) -> Any:
        nonlocal length
        if isinstance(value, Mapping):
            return {name: own(name, held) for name, held in value.items()}
        return [placed(held) for held in value] if isinstance(value, list) else value

    def own(name: str, value: Any) -> Any:
        nonlocal length
        if name != "data" or not isinstance(value, str):
            return placed(value)
        content = base64.b64decode(value)
        numbers.append(content)
        length += len(content)
        return [length - len(content), len(content)]

    text = json.dumps(placed(forms), separators=(",", ":"), allow_nan=False).encode()
    content = b"".join([len(text).to_bytes(4, "little"), text, *numbers])
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
