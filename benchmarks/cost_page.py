"""The page docs/COST.md and its figure, from what `benchmarks.cost` measured."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

INTRODUCTION = """\
# What the callbacks cost, and how the cost grows

Epochs with and without callbacks alternate; the tables show the fastest of each, in processor time.
Each size was measured in a process of its own. "Both callbacks" are
`LayerConvergence` and `GradientNorms`. `python -m benchmarks.cost` measures what is missing from
[results/cost.json](results/cost.json) and writes this page. Costs on a GPU are not on it:
`python -m benchmarks.gpu` prints them where there is one.
"""

CHOICE = """\
## What to choose

- **Up to about a million parameters**: the defaults. Exact records cost less than sketches, and a
  hundred of them take a few hundred MiB at most.
- **More parameters, or many records**: `memory="sketch"`. A record then takes at most 4 KiB a layer
  in place of the whole model (`buckets=1024`; distances have a relative standard error of 2.2 %) or
  16 KiB (`buckets=4096`; 1.1 %). Exact records that would not fit into `budget` are refused before
  training. On a GPU, add `on_device=True`: sketches are made there, and no weights are copied to
  the host.
- **Large dense layers and small batches**: a step does little more than read weights and gradients,
  and the norms read them again. If that is too much, use `LayerConvergence` alone, which adds
  nothing to a step, or follow fewer layers (`layers=`). Larger batches and convolutions hide it:
  `python -m benchmarks.overhead` measures a convolutional network.
- **Records often**: `every=n` costs one record each n updates.
- **Long runs**: nothing to choose. Sketches and the values of single updates move to a temporary
  file as they grow, so that the memory grows by a few percent, and `results` reads what is needed.
- **Hundreds of layers**: nothing to choose; figures and tables are easier to read with
  `layers="blocks"`.
"""


DOTTED = "The dotted lines mark 5 % of an epoch, and the time without callbacks.\n"


def write(kept: dict[str, Any], folder: pathlib.Path) -> pathlib.Path:
    """Writes the page and its figure, and returns the path of the page."""
    _draw(kept, folder / "images" / "cost.png")
    tables = [_parameters, _errors, _layers, _records, _reading]
    parts = [INTRODUCTION, CHOICE, "![Cost of a step and of a record](images/cost.png)\n", DOTTED]
    parts += [table(kept) for table in tables]
    parts.append(f"Measured with {kept['machine']}.".replace("\n", ", on ") + "\n")
    path = folder / "COST.md"
    path.write_text("\n".join(parts))
    return path


def _parameters(kept: dict[str, Any]) -> str:
    rows = [
        (
            f"{row['parameters']:,}",
            f"{row['step_ms']:,.2f}",
            f"{row['exact_step']:.2f}",
            f"{row['exact_record_ms']:,.1f}",
            f"{row['exact_share']:.1%}",
            f"{row['exact_mib']:,.2f}",
            f"{row['sketch_record_ms']:,.1f}",
            f"{row['sketch_share']:.1%}",
            f"{row['sketch_mib']:.2f}",
        )
        for row in kept.get("parameters", {}).values()
    ]
    head = (
        "parameters",
        "plain step, ms",
        "step with both, × plain",
        "exact record, ms",
        "of an epoch",
        "MiB",
        "sketched record, ms",
        "of an epoch",
        "MiB",
    )
    return (
        "## Parameters\n\nFive dense layers, batches of 32. A record is compared with an epoch of "
        "100 steps.\n\n" + _table(head, rows)
    )


def _errors(kept: dict[str, Any]) -> str:
    ((size, row),) = kept["errors"].items()
    columns = (row["parameters"], row["stated"], row["error"])
    rows = [
        (str(depth), f"{parameters:,}", f"{stated:.2%}", f"{error:.2%}")
        for depth, (parameters, stated, error) in enumerate(zip(*columns, strict=True))
    ]
    head = ("depth", "parameters", "stated standard error", "measured error")
    return (
        f"## Error of sketches\n\nA network of about {int(size):,} parameters, ten updates. The "
        "measured error is the root mean square of the relative error of distances over records "
        "and six seeds of the sketches, three of them made on the host and three with `on_device`. "
        "Layers of up to 1,024 parameters are kept whole.\n\n" + _table(head, rows)
    )


def _layers(kept: dict[str, Any]) -> str:
    rows = [
        (
            size,
            f"{row['first_epoch_s']:.1f}",
            f"{row['first_epoch']:.2f}",
            f"{row['step_ms']:.2f}",
            f"{row['step']:.2f}",
            f"{row['record_ms']:.1f}",
        )
        for size, row in kept.get("layers", {}).items()
    ]
    head = (
        "layers",
        "plain first epoch, s",
        "with both, × plain",
        "plain step, ms",
        "with both, × plain",
        "exact record, ms",
    )
    return (
        "## Layers\n\nDense layers of 8 units. The first epoch of 20 steps includes tracing and "
        "compilation. Steps of such small layers take so little time that ratios below 1 are "
        "noise.\n\n" + _table(head, rows)
    )


def _records(kept: dict[str, Any]) -> str:
    rows = [
        (
            f"{int(size):,} {what}",
            f"{row['mib']:,.0f}",
            f"{row['growth']:+.1%}",
            f"{row['results_s']:.2f}",
            f"{row['size_mib']:,.1f}",
        )
        for kind, what in (("records", "sketched records"), ("updates", "single updates"))
        for size, row in kept.get(kind, {}).items()
    ]
    head = (
        "what was recorded",
        "memory at the end, MiB",
        "growth after the first tenth",
        "`collect`, s",
        "run, MiB",
    )
    return (
        "## Records\n\nFive dense layers of 64 units; the memory is that of the whole process.\n\n"
        + _table(head, rows)
    )


def _reading(kept: dict[str, Any]) -> str:
    rows = [
        (
            f"{int(size):,}",
            f"{1e3 * row['results_s']:.0f} ({1e3 * row['first_results_s']:.0f})",
            f"{1e3 * row['collect_s']:.0f}",
            f"{row['report_s']:.1f} ({row['first_report_s']:.1f})",
            f"{row['report_mib']:.1f}",
        )
        for size, row in kept.get("reading", {}).items()
    ]
    head = ("records", "`results`, ms", "`collect`, ms", "`write_report`, s", "report, MiB")
    return (
        "## Reading\n\nRecords of 100 layers. In parentheses: the first time, which loads what it "
        "needs.\n\n" + _table(head, rows)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _draw(kept: dict[str, Any], path: pathlib.Path) -> None:
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    rows = list(kept.get("parameters", {}).values())
    sizes = [row["parameters"] for row in rows]
    for name, colour, marker in (("exact", "#0072B2", "o"), ("sketch", "#D55E00", "s")):
        shares = [100 * row[f"{name}_share"] for row in rows]
        left.plot(sizes, shares, color=colour, marker=marker, label=f"{name} record")
    left.axhline(5, color="0.5", linestyle=":")
    left.set(xscale="log", xlabel="parameters", ylabel="record, % of an epoch of 100 steps")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    layers = {int(size): row for size, row in kept.get("layers", {}).items()}
    for name, what, colour, marker in (
        ("first_epoch", "first epoch, with compilation", "#0072B2", "o"),
        ("step", "later steps", "#D55E00", "s"),
    ):
        ratios = [row[name] for row in layers.values()]
        right.plot(list(layers), ratios, color=colour, marker=marker, label=what)
    right.axhline(1, color="0.5", linestyle=":")
    right.set(xscale="log", xlabel="layers", ylabel="time with both callbacks, × plain")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
