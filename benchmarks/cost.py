"""Measures how the cost of the callbacks grows, and writes docs/COST.md.

python -m benchmarks.cost [--out docs] [--backend tensorflow|jax|torch] [--only WORD ...]
                          [--rounds 3] [--page-only]

Each size is measured in a process of its own, and kept in OUT/results/cost.json as soon as it is
known. Sizes that are there are not measured again, so an interrupted program continues.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PARAMETERS = (10**4, 10**5, 10**6, 10**7, 10**8)
LAYERS = (2, 10, 30, 100, 300, 1000)
RECORDS = (100, 1_000, 10_000)
UPDATES = (10_000, 100_000, 1_000_000)
ERRORS = (25 * 10**6,)
READING = (10, 100, 1_000)
SIZES = {
    "parameters": PARAMETERS,
    "layers": LAYERS,
    "records": RECORDS,
    "updates": UPDATES,
    "errors": ERRORS,
    "reading": READING,
}
EPOCH = 100  # the steps of an epoch to which the cost of a record is compared
INPUTS, BATCH_SIZE = 16, 32


# What is measured, each in a process of its own.


def parameters(size: int, rounds: int) -> dict[str, Any]:
    """Measures steps and records of a network with about `size` parameters in five layers."""
    import keras_lcb as lcb

    steps = int(np.clip(3 * 10**8 / size, 5, EPOCH))

    def both(memory: str) -> list[Any]:
        return [lcb.LayerConvergence(memory=memory), lcb.GradientNorms()]

    callbacks = {
        "plain": list,
        "exact": lambda: both("exact"),
        "sketch": lambda: both("sketch"),
    }
    model = _mlp(_width(size), layers=5)
    found = _timed(dict.fromkeys(callbacks, model), callbacks, steps, rounds)
    step = found["plain"]["epoch"] / steps
    row: dict[str, Any] = {"parameters": model.count_params(), "step_ms": 1e3 * step}
    for name in ("exact", "sketch"):
        record = found[name]["hooks"] - found["plain"]["hooks"]
        within = found[name]["epoch"] - found[name]["hooks"]
        row[f"{name}_step"] = within / (found["plain"]["epoch"] - found["plain"]["hooks"])
        row[f"{name}_record_ms"] = 1e3 * record
        row[f"{name}_share"] = record / (EPOCH * step)
    row["exact_mib"] = 4 * model.count_params() / 2**20
    row["sketch_mib"] = 4 * sum(min(n, 1024) for n in _sizes(model)) / 2**20
    return row


def layers(size: int, rounds: int) -> dict[str, Any]:
    """Measures compilation and steps of a network with `size` narrow layers."""
    import keras_lcb as lcb

    sys.setrecursionlimit(20_000)  # Keras follows a chain of layers recursively
    callbacks: dict[str, Any] = {
        "warm up": list,
        "plain": list,
        "both": lambda: [lcb.LayerConvergence(), lcb.GradientNorms()],
    }
    models = {name: _mlp(8, layers=size) for name in callbacks}
    found = _timed(models, callbacks, 20, rounds)
    plain, both = found["plain"], found["both"]
    within = [each["epoch"] - each["hooks"] for each in (both, plain)]
    return {
        "first_epoch_s": plain["first"],
        "first_epoch": both["first"] / plain["first"],
        "step_ms": 1e3 * plain["epoch"] / 20,
        "step": within[0] / within[1],
        "record_ms": 1e3 * (both["hooks"] - plain["hooks"]),
    }


def records(size: int, rounds: int) -> dict[str, Any]:
    """Measures the memory for `size` records of sketches and norms."""
    import keras_lcb as lcb

    callbacks = [lcb.LayerConvergence(every=10, memory="sketch"), lcb.GradientNorms(every=10)]
    return _grown(callbacks, 10 * size)


def updates(size: int, rounds: int) -> dict[str, Any]:
    """Measures the memory for the norms of `size` single updates."""
    import keras_lcb as lcb

    return _grown([lcb.GradientNorms(every=1000, per_update=True)], size)


def reading(size: int, rounds: int, layers: int = 100) -> dict[str, Any]:
    """Measures how long it takes to read `size` records of 100 layers, and to report on them."""
    import keras_lcb as lcb

    callbacks = [lcb.LayerConvergence(every=1), lcb.GradientNorms(every=1)]
    model = _mlp(8, layers=layers)
    x = np.random.default_rng(0).normal(size=(4 * size, INPUTS)).astype("float32")
    model.fit(x, x[:, :1], batch_size=4, verbose=0, callbacks=callbacks)
    # The first call also loads modules; later calls do not.
    first = _seconds(lambda: callbacks[0].results)
    run = lcb.collect(*callbacks)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "report.html"
        reports = [_seconds(lambda: lcb.write_report(run, path)) for _ in range(1 + rounds)]
        report_mib = path.stat().st_size / 2**20
    return {
        "first_results_s": first,
        "results_s": min(_seconds(lambda: callbacks[0].results) for _ in range(rounds)),
        "collect_s": min(_seconds(lambda: lcb.collect(*callbacks)) for _ in range(rounds)),
        "first_report_s": reports[0],
        "report_s": min(reports[1:]),
        "report_mib": report_mib,
    }


def _seconds(function: Callable[[], Any]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def errors(size: int, rounds: int) -> dict[str, Any]:
    """Compares sketched with exact distances, by layer, for several seeds of the sketches."""
    import keras_lcb as lcb

    model = _mlp(round(np.sqrt(size / 6)), layers=8)
    x = np.random.default_rng(0).normal(size=(10 * BATCH_SIZE, INPUTS)).astype("float32")
    exact = lcb.LayerConvergence(every=1)
    sketched = [
        lcb.LayerConvergence(every=1, memory="sketch", seed=seed, on_device=seed % 2 == 1)
        for seed in range(6)
    ]
    model.fit(x, x[:, :1], batch_size=BATCH_SIZE, verbose=0, callbacks=[exact, *sketched])
    known = exact.results.distance.values[:-1]
    found = np.stack([each.results.distance.values[:-1] for each in sketched])
    stated = sketched[0].results
    return {
        "parameters": stated.parameters.values.tolist(),
        "stated": (stated.distance_standard_error / stated.distance).values[0].tolist(),
        "error": np.sqrt(np.mean((found / known - 1) ** 2, axis=(0, 1))).tolist(),
    }


def _timed(models: Any, callbacks: Any, steps: int, rounds: int) -> dict[str, dict[str, float]]:
    """Returns the processor seconds of variants: the fastest epochs, which noise affects least."""
    from benchmarks.interleaved import Variant, time_variants

    x = np.random.default_rng(0).normal(size=(BATCH_SIZE * steps, INPUTS)).astype("float32")
    variants = {name: Variant(models[name], callbacks[name]) for name in callbacks}
    timings = time_variants(variants, (x, x[:, :1]), batch_size=BATCH_SIZE, rounds=rounds, epochs=2)
    return {
        name: {
            "first": float(each.first_start[1]),
            "epoch": float(each.epochs[..., 1].min()),
            "hooks": float(each.hooks[..., 1].min()),
        }
        for name, each in timings.items()
    }


def _grown(callbacks: list[Any], steps: int) -> dict[str, Any]:
    """Trains, and returns how the memory grew after the first tenth, and the time of `results`."""
    import keras
    import tensorflow as tf

    import keras_lcb as lcb

    model = _mlp(64, layers=5, steps_per_execution=10)
    x = np.random.default_rng(0).normal(size=(320, INPUTS)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(BATCH_SIZE).cache().repeat()
    memory: list[float] = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: memory.append(_resident()))
    model.fit(data, steps_per_epoch=steps // 10, epochs=10, verbose=0, callbacks=[*callbacks, look])
    began = time.process_time()
    run = lcb.collect(*callbacks)
    seconds = time.process_time() - began
    return {
        "mib": memory[-1],
        "growth": max(memory) / memory[0] - 1,
        "results_s": seconds,
        "size_mib": run.nbytes / 2**20,
    }


def _mlp(width: int, layers: int, **options: Any) -> Any:
    import keras

    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(layers - 1)]
    model = keras.Sequential([keras.Input((INPUTS,)), *hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.001), "mse", **options)
    return model


def _width(size: int) -> int:
    """Returns the width of four hidden layers that have `size` parameters together."""
    return round((-(INPUTS + 5) + np.sqrt((INPUTS + 5) ** 2 + 12 * size)) / 6)


def _sizes(model: Any) -> list[int]:
    return [layer.count_params() for layer in model.layers]


def _resident() -> float:
    """Returns the resident memory of this process in MiB, on Linux."""
    status = pathlib.Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


# The program.


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    if options.point:
        kind, size = options.point
        _measure_here(kind, size, options)
        return
    path = options.out / "results" / "cost.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if not options.page_only:
        for kind, size in _missing(kept, options.only):
            row = _measured_apart(kind, size, options)
            kept.setdefault(kind, {})[str(size)] = row
            path.write_text(json.dumps(kept, indent=1) + "\n")
            print(kind, f"{size:,}", row)
        kept["machine"] = _described(options.backend)
        path.write_text(json.dumps(kept, indent=1) + "\n")
    from benchmarks.cost_page import write

    print(f"written: {write(kept, options.out)}")


def _missing(kept: dict[str, Any], only: list[str]) -> Iterator[tuple[str, int]]:
    for kind, sizes in SIZES.items():
        for size in sizes:
            if str(size) not in kept.get(kind, {}) and any(word in kind for word in only):
                yield kind, size


def _measured_apart(kind: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.cost", "--point", kind, str(size)]
    command += ["--rounds", str(options.rounds)]
    settings = {"KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | settings
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure_here(kind: str, size: str, options: argparse.Namespace) -> None:
    print(json.dumps(globals()[kind](int(size), options.rounds)))


def _described(backend: str) -> str:
    code = "from benchmarks import machine; print(machine.sentence(machine.describe()))"
    settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | settings
    )
    return done.stdout.strip()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"], default=backend)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs"))
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[""], help="kinds of sizes")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default: 3)")
    parser.add_argument("--page-only", action="store_true", help="write the page, measure nothing")
    parser.add_argument("--point", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
