"""Compares the wall time and accuracy of training with and without freezing.

python -m benchmarks.freezing [--out FILE] [--page FILE] [--seeds 10] [--epochs 30]
                              [--only WORD ...] [--quick]

The program trains ResNet-20 on 4,000 images of MNIST, enlarged to 32x32, and tests it on 1,000. For
each seed, it trains the network in several ways, in a random order. A training is timed from the
call of `fit` to its end, including compilation. As soon as it ends, a row is written to FILE.
Trainings whose rows are in FILE are not repeated, so an interrupted program continues, and seeds
can be added.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import pathlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

# Keras chooses its backend when it is imported. So it is imported only after the options are read.
if TYPE_CHECKING:
    import keras

BATCH_SIZE, RATE, PROBE = 64, 0.1, 128
PLAIN, CONTROL = "plain", "plain, a second time"
START = 0.25
# Five parts of similar cost. More would cost time, because Keras compiles a step for each.
GROUPS = {
    "stem": 1, "stage1_block1": 1, "stage1_block2": 2, "stage1_block3": 2,
    "stage2_block1": 3, "stage2_block2": 3, "stage2_block3": 4, "stage3_block1": 4,
}  # fmt: skip
LAST_GROUP = 5
MOST_LOSS, MOST_TIME, MOST_TIME_CACHED = 1.0, 0.80, 0.65

PUBLISHED = """\
Published: FreezeOut (Brock et al. 2017, arXiv 1706.04983) freezes single layers, on CIFAR. It
reports these savings of wall time: up to 20 % for DenseNets, with 3 % less accuracy; 20 % for
ResNets, without loss; none for VGG. Egeria (Wang et al. 2023, arXiv 2201.06227) reports trainings
of vision and language models on GPUs that are 19 to 43 % faster without loss. It also caches what
frozen layers return, and saves communication."""


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to train."""

    freeze: Callable[[np.ndarray], Any] | None = None  # makes the callback from a probe batch
    cosine: bool = True  # whether the learning rate falls; a schedule scales steps itself
    cached: bool = False


def group(layer: keras.Layer) -> str:
    """Returns the name of the part of the network to which a layer belongs."""
    from keras_lcb.runs.block_names import block_name

    return f"group{GROUPS.get(block_name(layer.name), LAST_GROUP)}"


def ways() -> dict[str, Way]:
    """Returns the ways to train, by name."""
    import keras_lcb as lcb

    def by_schedule(schedule: str, cache: bool = False) -> Way:
        def freeze(probe: np.ndarray) -> Any:
            return lcb.FreezeConverged(schedule, START, layers=group, cache=cache)

        return Way(freeze, cosine=False, cached=cache)

    def by_evidence(uses_probe: bool, cache: bool = False) -> Way:
        def freeze(probe: np.ndarray) -> Any:
            x = probe if uses_probe else None
            return lcb.FreezeConverged(x=x, patience=2, layers=group, cache=cache)

        return Way(freeze, cached=cache)

    return {
        PLAIN: Way(),
        CONTROL: Way(),
        "linear": by_schedule("linear"),
        "cubic": by_schedule("cubic"),
        "weights": by_evidence(False),
        "activations": by_evidence(True),
        "cubic, cached": by_schedule("cubic", cache=True),
        "weights, cached": by_evidence(False, cache=True),
        "activations, cached": by_evidence(True, cache=True),
    }


# Training.


@dataclasses.dataclass(frozen=True)
class Data:
    """Images and labels for training and testing, as arrays."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def part(self, count: int) -> Data:
        """Returns the first images of both sets."""
        return Data(*(array[:count] for array in dataclasses.astuple(self)))


def read() -> Data:
    """Reads 4,000 images for training and 1,000 for testing."""
    from keras_lcb import vision

    parts = []
    for images in vision.load("mnist_5k", image_size=(32, 32)):
        x, y = zip(*images.as_numpy_iterator(), strict=True)
        parts += [np.concatenate(x), np.concatenate(y)]
    return Data(*parts)


def train(way: Way, seed: int, data: Data, epochs: int, depths: tuple[int, ...]) -> dict[str, Any]:
    """Trains once, and returns times, accuracy and what froze."""
    import keras

    import keras_lcb as lcb

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = lcb.vision.build_resnet(data.x.shape[1:], 10, depths=depths, seed=seed)
    steps = epochs * math.ceil(len(data.x) / BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps) if way.cosine else RATE
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    freeze: Any = way.freeze(data.x[:PROBE]) if way.freeze else None
    options = {"batch_size": BATCH_SIZE, "epochs": epochs, "verbose": 0}
    wall, cpu = time.perf_counter(), time.process_time()
    if way.cached:
        lcb.fit_in_stages(model, data.x, data.y, freeze, **options)
    else:
        model.fit(data.x, data.y, callbacks=[freeze] if freeze else [], **options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    _, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
    events = freeze.events if freeze else []
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "accuracy": 100 * accuracy,
        "frozen": [[event["epoch"], len(event["layers"])] for event in events],
        "load_average": os.getloadavg()[0],
    }


# The rows on disk.


def known_rows(path: pathlib.Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows with these settings. An incomplete last line is ignored."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [row for row in rows if row["settings"] == settings]


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains for each missing row, and returns all rows."""
    import keras

    depths, epochs = ((1, 1, 1), 4) if options.quick else ((3, 3, 3), options.epochs)
    data = read().part(256 if options.quick else options.images)
    backend = keras.backend.backend()
    settings = {"epochs": epochs, "depths": list(depths), "images": len(data.x)}
    settings |= {"backend": backend, "start": START, "threads": options.threads}
    rows = known_rows(options.out, settings)
    done = {(row["way"], row["seed"]) for row in rows}
    chosen = {
        name: way
        for name, way in ways().items()
        if name == PLAIN or any(word in name for word in options.only)
    }
    train(
        Way(), 0, data.part(BATCH_SIZE), 1, depths
    )  # does not count: the first training of a process is slower
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name in np.random.default_rng(seed).permutation(list(chosen)):
            if (name, seed) not in done:
                row = {"way": str(name), "seed": seed, "settings": settings}
                row |= train(chosen[name], seed, data, epochs, depths)
                rows.append(row)
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"seed {seed}  {name:20} {row['wall_s']:7.1f} s {row['accuracy']:6.2f} %")
    return rows


# The results.


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compares each way with plain training, by ratios of times and differences of accuracy."""
    from keras_lcb.analysis import Estimate

    by_way: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_way.setdefault(row["way"], {})[row["seed"]] = row
    plain = by_way.get(PLAIN, {})
    lines = []
    for name in (each for each in ways() if each in by_way and each != PLAIN):
        pairs = [(row, plain[seed]) for seed, row in by_way[name].items() if seed in plain]
        line: dict[str, Any] = {"way": name, "seeds": len(pairs)}
        for clock in ("wall_s", "cpu_s"):
            logs = Estimate(tuple(math.log(row[clock] / base[clock]) for row, base in pairs))
            interval = logs.interval() or (math.nan, math.nan)
            line[clock] = [math.exp(value) for value in (logs.mean, *interval)]
        differences = Estimate(tuple(row["accuracy"] - base["accuracy"] for row, base in pairs))
        line["accuracy"] = [differences.mean, *(differences.interval() or (math.nan, math.nan))]
        lines.append(line)
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Returns the comparisons as text."""
    text = [
        f"{'':22}{'wall time ratio (95 %)':>26}{'CPU':>7}{'accuracy, points (95 %)':>28}  seeds"
    ]
    for line in lines:
        (wall, low, high), cpu = line["wall_s"], line["cpu_s"][0]
        mean, least, most = line["accuracy"]
        spread = f"{wall:.3f} ({low:.3f} to {high:.3f})"
        difference = f"{mean:+.2f} ({least:+.2f} to {most:+.2f})"
        text.append(f"{line['way']:22}{spread:>26}{cpu:7.3f}{difference:>28}  {line['seeds']:5}")
    return "\n".join([*text, "", *map(verdict, lines)])


def verdict(line: dict[str, Any]) -> str:
    if line["way"] == CONTROL:
        return f"{CONTROL}: its differences from 1 and 0 are noise"
    most = MOST_TIME_CACHED if "cached" in line["way"] else MOST_TIME
    least_accuracy = line["accuracy"][1]
    fast = "reached" if line["wall_s"][0] <= most else "NOT reached"
    kept = "reached" if least_accuracy >= -MOST_LOSS else "NOT reached"  # not reached if NaN
    return (
        f"{line['way']}: time at most {most:.2f} of plain training: {fast}; "
        f"loss of accuracy within {MOST_LOSS:g} point (95 %): {kept}"
    )


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    os.environ["KERAS_BACKEND"] = options.backend
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = str(options.threads)
    from benchmarks import machine

    print(machine.sentence(machine.describe()))
    if options.quick:
        print("QUICK: tiny sizes, to show that the program runs; the numbers have no meaning")
    rows = run(options)
    print("\n" + table(summary(rows)))
    if options.page:
        from benchmarks.freezing_page import page

        options.page.write_text(page(rows))
    print(f"\n{PUBLISHED}")
    print("load average at the end " + ", ".join(f"{x:.1f}" for x in os.getloadavg()))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"], default=backend)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("freezing.jsonl"))
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help="write a page, too")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--epochs", type=int, default=30, help="default: 30")
    parser.add_argument("--images", type=int, default=4000, help="training images (default: 4000)")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (default: 2)")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WORD",
        default=[""],
        help="besides plain training, use only ways whose names contain one of these words",
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to show that it runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
