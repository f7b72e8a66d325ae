"""Results of the battery: small JSON files in `battery/results/`, and tables of them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_lcb.runs.atomic import write_atomically

FOLDER = pathlib.Path(__file__).with_name("results")


def read(name: str, folder: pathlib.Path = FOLDER) -> dict[str, Any]:
    """Returns the stored results with this name; an empty dict if there are none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(name: str, content: Mapping[str, Any], folder: pathlib.Path = FOLDER) -> None:
    """Stores results under this name."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    write_atomically(folder / f"{name}.json", text.encode())


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Returns a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
