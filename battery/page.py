"""Writes docs/RELIABILITY.md from the results that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from battery.running import BACKENDS, KINDS, RESULTS, read

PAGE = Path(__file__).parent.parent / "docs" / "RELIABILITY.md"
_ABOUT = {
    "models": "Each model takes two updates of plain SGD at rate 1, which moves weights by their "
    "gradients. Gradient and update norms in the run must equal the differences of the weights in "
    "float64 to a relative 1e-5, beyond the rounding of the weights themselves. Weights must be "
    "those of a second run without callbacks (bit for bit; on JAX, where the longer program may be "
    "compiled to other roundings, to a relative 1e-4), the saved file must have the same content, "
    "and names of layers must be the same after saving, loading and cloning.",
    "trainings": "Each training is in the shape of a published example of Keras, with made data: "
    "six batches, with the callbacks and without. Each layer's update must equal the difference of "
    "its weights, and the weights must be those of the run without callbacks.",
    "optimizers": "Each optimizer of Keras with each option: the number of updates, the norms of "
    "the first gradient and the first update against weights in float64, and the weights of a run "
    "without callbacks.",
}


def write() -> None:
    """Writes the page."""
    parts = [
        "# How often it is right",
        "Many models, trainings and optimizers, each checked against weights in float64. "
        "`make battery` runs what has no result in `battery/results` yet and writes this page; "
        "delete a result to have it measured again.",
    ]
    for kind in KINDS:
        parts += [f"## {kind.capitalize()}", _ABOUT[kind], _table(kind), _faults(kind)]
    parts += _others()
    PAGE.write_text("\n\n".join(part for part in parts if part) + "\n")


def _table(kind: str) -> str:
    lines = [
        "| backend | checked | right | largest relative error of a norm | time |",
        "|---|---|---|---|---|",
    ]
    for backend in BACKENDS:
        results = read(RESULTS / f"{kind}.{backend}.json")
        if results:
            right = [name for name, result in results.items() if not result["faults"]]
            error = max((results[name]["error"] for name in right), default=float("nan"))
            seconds = sum(result["seconds"] for result in results.values())
            lines.append(
                f"| {backend} | {len(results)} | {len(right)} | {error:.1g} "
                f"| {seconds / 60:.1f} min |"
            )
    return "\n".join(lines)


def _faults(kind: str) -> str:
    lines = []
    for backend in BACKENDS:
        for name, result in read(RESULTS / f"{kind}.{backend}.json").items():
            lines += [f"- {backend}, {name}: {result['faults'][0]}"] if result["faults"] else []
    return "Not right:\n\n" + "\n".join(lines) if lines else ""


def _others() -> list[str]:
    """Returns a section for each further file of results: a title, a text and a table."""
    found: list[str] = []
    for path in sorted(RESULTS.glob("*.json")):
        content: Any = json.loads(path.read_text())
        if "title" in content:
            found += [f"## {content['title']}", content["text"], content.get("table", "")]
    return found
