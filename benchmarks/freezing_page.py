"""The page docs/results/freezing.md, from the rows that `benchmarks.freezing` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import freezing

INTRODUCTION = """\
# ResNet-20 on MNIST: time saved, accuracy lost

ResNet-20 on 4,000 images of MNIST, enlarged to 32×32, tested on 1,000, {epochs} epochs, batches of
64, {backend} on two cores. For each seed the network was trained in each way, in a random order:

- **plain**: SGD with Nesterov momentum and a cosine decay of the learning rate; a second time as a
  control, whose differences are noise;
- **cubic**: `FreezeConverged("cubic", start=0.25)`, the schedule of FreezeOut, which also lets each
  layer's steps fall to zero;
- **weights**: `FreezeConverged(patience=2)`, which freezes a part once its weights hardly move;
- **cached**: the same with `cache=True`, which keeps the outputs of frozen layers.

The network is frozen in five parts. Times are from the call of `fit` to its end, with every
compilation. Other programs ran at the same time (load averages of {least:.1f} to {most:.1f} on two
cores), which widens the intervals of wall time; processor time hardly depends on it. Intervals are
Student's t over the seeds, for the mean of the logarithms of paired ratios, and for the mean of
paired differences.
"""

REST = """\
The schedule "linear" and evidence from activations (`x=`) were not part of this measurement.

{published}

Their networks, data sets and machines differ from those here, so the numbers do not compare: they
show the size of what others report.

The rows are in [freezing.jsonl](freezing.jsonl). To repeat it, or to add seeds:

    python -m benchmarks.freezing --epochs {epochs} --only cubic weights \\
        --out docs/results/freezing.jsonl --page docs/results/freezing.md
"""


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the page as Markdown."""
    lines = freezing.summary(list(rows))
    loads = [row["load_average"] for row in rows]
    settings = rows[0]["settings"]
    accuracy = [row["accuracy"] for row in rows if row["way"] == freezing.PLAIN]
    introduction = INTRODUCTION.format(
        epochs=settings["epochs"],
        backend={"tensorflow": "TensorFlow", "jax": "JAX"}.get(settings["backend"], "torch"),
        least=min(loads),
        most=max(loads),
    )
    seen = (
        f"Plain training reached {min(accuracy):.1f} to {max(accuracy):.1f} % on the test images."
    )
    verdicts = "\n".join(f"- {freezing.verdict(line)}" for line in lines)
    rest = REST.format(epochs=settings["epochs"], published=freezing.PUBLISHED)
    return "\n".join([introduction, _table(lines), seen + "\n", verdicts + "\n", rest])


def _table(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        "| | wall time ÷ plain (95 %) | processor time ÷ plain | accuracy, points (95 %) | seeds |"
    ]
    rows.append("|---|---|---|---|---|")
    for line in lines:
        (wall, low, high), cpu = line["wall_s"], line["cpu_s"]
        mean, least, most = line["accuracy"]
        rows.append(
            f"| {line['way']} | {wall:.2f} ({low:.2f} to {high:.2f}) "
            f"| {cpu[0]:.2f} ({cpu[1]:.2f} to {cpu[2]:.2f}) "
            f"| {mean:+.2f} ({least:+.2f} to {most:+.2f}) | {line['seeds']} |"
        )
    return "\n".join(rows) + "\n"
