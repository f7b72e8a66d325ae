"""Writes docs/RELIABILITY.md from the results that are there."""

from __future__ import annotations

from pathlib import Path

from battery import stored
from battery.running import BACKENDS, KINDS, RESULTS, read

PAGE = Path(__file__).parent.parent / "docs" / "RELIABILITY.md"
_ABOUT = {
    "models": "Each model takes two updates of plain SGD at rate 1, which moves weights by their "
    "gradients. Gradient and update norms in the run must equal the differences of the weights in "
    "float64 to a relative 1e-5, beyond the rounding of the weights themselves. Weights must be "
    "those of a second run without callbacks: bit for bit, on TensorFlow at the latest without its "
    "graph optimizer; on JAX, where the longer program may be compiled to other roundings, to a "
    "relative 1e-4. The saved file must have the same content, and names of layers must be the "
    "same after saving, loading and cloning. (On JAX, the networks of `keras.applications` are "
    "compiled without XLA's slow optimizations.)",
    "trainings": "Each training is in the shape of a published example of Keras, with made data: "
    "six batches, with the callbacks and without. Each layer's update must equal the difference of "
    "its weights, and the weights must be those of the run without callbacks.",
    "optimizers": "Each optimizer of Keras with each option: the number of updates, the norms of "
    "the first gradient and the first update against weights in float64, and the weights of a run "
    "without callbacks.",
}
_KILLED = (
    "A process that saves runs, writes reports, or trains with `backup=` and `lcb.TrainingBackup` "
    "is killed (SIGKILL) at random moments. The file must be the old or the new one, and a "
    "training must go on from its last whole epoch and end with the weights and distances of a "
    "training that nobody killed. `python -m battery.kills` repeats it."
)
_DAMAGED = (
    "Saved runs are damaged, and `load_run` reads them in a process that a crash may end. Each "
    "file must be refused in a sentence, or read right. A file without the checksum of `save_run` "
    "may be read with changed values, because nothing reveals the damage. "
    "`python -m battery.damage` repeats it."
)


def write() -> None:
    """Writes the page."""
    parts = [
        "# Reliability",
        "How often the package is right: many models, trainings and optimizers, each checked "
        "against weights in float64, and processes and files that come to harm. `make battery` "
        "runs what has no result in `battery/results` yet, and writes this page. Delete a result "
        "there to have it measured again.",
    ]
    for kind in KINDS:
        parts += [f"## {kind.capitalize()}", _ABOUT[kind], _table(kind), _faults(kind)]
        parts.append(_only_without_optimizer(kind))
    parts += ["## Killed processes", _KILLED, _kills(), "## Damaged files", _DAMAGED, _damage()]
    PAGE.write_text("\n\n".join(part for part in parts if part) + "\n")


def _table(kind: str) -> str:
    columns = ["backend", "checked", "right", "largest relative error of a norm", "minutes"]
    rows = []
    for backend in BACKENDS:
        results = read(RESULTS / f"{kind}.{backend}.json")
        if results:
            right = [name for name, result in results.items() if not result["faults"]]
            error = max((results[name]["error"] for name in right), default=float("nan"))
            minutes = sum(result["seconds"] for result in results.values()) / 60
            rows.append((backend, len(results), len(right), f"{error:.1g}", f"{minutes:.1f}"))
    return stored.table(columns, rows)


def _faults(kind: str) -> str:
    lines = []
    for backend in BACKENDS:
        for name, result in read(RESULTS / f"{kind}.{backend}.json").items():
            lines += [f"- {backend}, {name}: {result['faults'][0]}"] if result["faults"] else []
    return "Not right:\n\n" + "\n".join(lines) if lines else ""


def _only_without_optimizer(kind: str) -> str:
    results = read(RESULTS / f"{kind}.tensorflow.json")
    names = [name for name, result in results.items() if result.get("only_without_optimizer")]
    return (
        f"On TensorFlow, the weights of {', '.join(names)} are those of a plain run bit for bit "
        "only without TensorFlow's graph optimizer. With it, roundings differ, and these trainings "
        "blow them up."
        if names
        else ""
    )


def _kills() -> str:
    rows = [
        (name, found["kills"], found["midway"], "; ".join(found["failures"]) or "none")
        for name, entry in sorted(stored.read("kills").items())
        for found in [entry["tally"]]
    ]
    return stored.table(["killed", "kills", "in the midst of a write", "wrong"], rows)


def _damage() -> str:
    rows = []
    for name, found in sorted(stored.read("damage").get("kinds", {}).items()):
        outcomes = dict(found["outcomes"])
        refused, right = outcomes.pop("refused", 0), outcomes.pop("right", 0)
        others = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        rows.append((name, refused, right, others or "none"))
    return stored.table(["damage", "refused in a sentence", "read right", "other"], rows)
