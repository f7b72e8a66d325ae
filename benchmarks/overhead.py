"""What the callbacks cost: training time beside plain `fit` and the alternatives, and memory.

python -m benchmarks.overhead [--backend tensorflow|jax|torch] [--json FILE] [--rounds 9]
                              [--only mlp cnn memory] [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.interleaved import Timings
    from benchmarks.workloads import Workload

STEPS = {"mlp": 500, "cnn": 50}
QUICK_STEPS = {"mlp": 20, "cnn": 2}
EPOCHS = {"mlp": 3, "cnn": 1}
PARTS = ["mlp", "cnn", "memory"]


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    os.environ["KERAS_BACKEND"] = options.backend  # before anything imports Keras
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from benchmarks import machine

    report: dict[str, Any] = {"machine": machine.describe()}
    print(machine.sentence(report["machine"]))
    for part in options.only:
        if part in STEPS:
            report[part] = _training(part, options.rounds, options.quick)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"\nwritten: {options.json}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backend",
        choices=["tensorflow", "jax", "torch"],
        default=os.environ.get("KERAS_BACKEND", "tensorflow"),
        help="default: KERAS_BACKEND, or tensorflow",
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default: 9)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it runs, measures nothing"
    )
    return parser.parse_args(arguments)


def _training(part: str, rounds: int, quick: bool) -> dict[str, Any]:
    """Times one workload and prints its table."""
    from benchmarks import interleaved, workloads

    workload = getattr(workloads, part)((QUICK_STEPS if quick else STEPS)[part])
    with tempfile.TemporaryDirectory() as log_dir:
        timings = interleaved.time_variants(
            workloads.variants(workload, pathlib.Path(log_dir)),
            workload.data,
            batch_size=workloads.BATCH_SIZE,
            rounds=rounds,
            epochs=EPOCHS[part],
        )
    plain = timings[workloads.PLAIN]
    rows = {name: _row(variant, plain, workload.steps) for name, variant in timings.items()}
    target = _target(workload, rows[workloads.BOTH])
    _print_training(workload, rounds, EPOCHS[part], rows, target)
    return {
        "workload": workload.name,
        "steps": workload.steps,
        "batch_size": workloads.BATCH_SIZE,
        "rounds": rounds,
        "epochs": EPOCHS[part],
        "target": target,
        "variants": rows,
        "seconds": {name: _raw(variant) for name, variant in timings.items()},
    }


def _row(variant: Timings, plain: Timings, steps: int) -> dict[str, Any]:
    """One variant in a few numbers; where there are two, they are wall and processor time."""
    from benchmarks.interleaved import ratio

    epoch = np.median(variant.epochs, axis=(0, 1))
    in_steps = [np.median(t.epochs - t.hooks, axis=(0, 1)) for t in (variant, plain)]
    return {
        "epoch_s": float(epoch[0]),
        "wall": dataclasses.asdict(ratio(variant, plain)),
        "cpu": dataclasses.asdict(ratio(variant, plain, clock=1)),
        "hooks_ms": float(1e3 * np.median(variant.hooks[..., 0])),
        "added_us_per_step": float(1e6 * (in_steps[0] - in_steps[1])[0] / steps),
        "compile_s": float(variant.first_start[0] - epoch[0]),
        "later_start_s": float(np.median(variant.starts[:, 0]) - epoch[0]),
    }


def _target(workload: Workload, row: dict[str, Any]) -> dict[str, Any]:
    wall = row["wall"]
    return {
        "at_most": workload.target,
        "measured": wall["median"],
        "reached": wall["median"] <= workload.target,
        "within_noise": wall["lower"] <= workload.target <= wall["upper"],
    }


def _raw(variant: Timings) -> dict[str, list]:
    return {name: array.tolist() for name, array in vars(variant).items()}


def _print_training(
    workload: Workload, rounds: int, epochs: int, rows: dict[str, Any], target: dict[str, Any]
) -> None:
    print(
        f"\n{workload.name}, batch 64, NumPy arrays, {workload.steps} steps an epoch, "
        f"{epochs} steady epochs in each of {rounds} interleaved rounds"
    )
    print(
        f"{'':26}{'epoch':>9}   {'wall time ratio':^22}{'fastest':>8}{'CPU':>7}{'fastest':>8}"
        f"{'hooks':>8}{'added':>9}{'compile':>9}{'start':>8}"
    )
    print(
        f"{'':26}{'ms':>9}   {'median (quartiles)':^22}{'':8}{'ratio':>7}{'':8}"
        f"{'ms':>8}{'us/step':>9}{'s':>9}{'s':>8}"
    )
    for name, row in rows.items():
        wall, cpu = row["wall"], row["cpu"]
        spread = f"{wall['median']:.3f} ({wall['lower']:.3f} - {wall['upper']:.3f})"
        print(
            f"{name:26}{1e3 * row['epoch_s']:9.1f}   {spread:^22}{wall['fastest']:8.3f}"
            f"{cpu['median']:7.3f}{cpu['fastest']:8.3f}{row['hooks_ms']:8.2f}"
            f"{row['added_us_per_step']:9.1f}{row['compile_s']:9.2f}{row['later_start_s']:8.3f}"
        )
    print(
        f"both callbacks: {target['measured']:.3f}, wanted at most {target['at_most']:.2f}: "
        f"{_verdict(target)}"
    )


def _verdict(target: dict[str, Any]) -> str:
    verdict = "reached" if target["reached"] else "NOT reached"
    return verdict + (" (the quartiles straddle it)" if target["within_noise"] else "")


if __name__ == "__main__":
    main()
