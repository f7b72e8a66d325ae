"""Measures the cost of the callbacks: training time, compared with plain `fit`, and memory.

python -m benchmarks.overhead [--backend tensorflow|jax|torch] [--json FILE] [--rounds 9]
                              [--only mlp cnn memory] [--variants WORD ...] [--quick]
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

# Keras chooses its backend when it is imported. So it is imported only after the options are read.
if TYPE_CHECKING:
    from benchmarks.interleaved import Timings
    from benchmarks.workloads import Workload

PARTS = ["mlp", "cnn", "memory"]
STEPS = {"mlp": 500, "cnn": 30}
QUICK_STEPS = {"mlp": 5, "cnn": 2}
EPOCHS = {"mlp": 3, "cnn": 2}
RECORDS, QUICK_RECORDS = 200, 20
SKETCH_MIB = 200

EXPLANATION = """\
Ratios are times divided by those of plain fit, as medians and quartiles over the rounds; only times
of the same round are compared. `fastest` is the ratio of the fastest epochs, which noise affects
least. The second plain fit shows the noise. `hooks` is the time between two epochs. `added` is the
additional time of each step, compared with plain fit. `compile` is the additional time of the first
epoch of the first fit, compared with later epochs. `start` is the same for later fits."""


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from benchmarks import machine

    report: dict[str, Any] = {"machine": machine.describe(), "quick": options.quick}
    print(machine.sentence(report["machine"]))
    if options.quick:
        print("QUICK: tiny sizes, to show that the program runs; the numbers have no meaning")
    for part in options.only:
        if part == "memory":
            report[part] = _memory(options.quick)
        else:
            report[part] = _training(part, options.rounds, options.variants, options.quick)
    report["targets"] = [target for part in options.only for target in report[part]["targets"]]
    if any(part in STEPS for part in options.only):
        print(f"\n{EXPLANATION}")
    print("\n" + "\n".join(map(_verdict, report["targets"])))
    report["load_average_at_end"] = list(os.getloadavg())
    print("load average at the end " + ", ".join(f"{x:.1f}" for x in os.getloadavg()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written: {options.json}")


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
        "--variants",
        nargs="+",
        metavar="WORD",
        default=[""],
        help="measure only variants whose names contain one of these words",
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to show that it runs")
    return parser.parse_args(arguments)


# Training time.


def _training(part: str, rounds: int, words: list[str], quick: bool) -> dict[str, Any]:
    """Times one workload and prints its table."""
    from benchmarks import interleaved, workloads

    workload = getattr(workloads, part)((QUICK_STEPS if quick else STEPS)[part])
    with tempfile.TemporaryDirectory() as log_dir:
        timings = interleaved.time_variants(
            workloads.variants(workload, pathlib.Path(log_dir), words),
            workload.data,
            batch_size=workloads.BATCH_SIZE,
            rounds=rounds,
            epochs=EPOCHS[part],
        )
    plain = timings[workloads.PLAIN]
    rows = {name: _row(variant, plain, workload.steps) for name, variant in timings.items()}
    print(
        f"\n{workload.name}, Adam, batch {workloads.BATCH_SIZE}, NumPy arrays, {workload.steps} "
        f"steps an epoch, {EPOCHS[part]} steady epochs in each of {rounds} interleaved rounds"
    )
    _print_rows(rows)
    return {
        "workload": workload.name,
        "batch_size": workloads.BATCH_SIZE,
        "steps": workload.steps,
        "steady_epochs_a_round": EPOCHS[part],
        "rounds": rounds,
        "targets": _time_targets(workload, rows),
        "variants": rows,
        "seconds": {name: _raw(variant) for name, variant in timings.items()},
    }


def _row(variant: Timings, plain: Timings, steps: int) -> dict[str, Any]:
    """Summarizes the times of one variant."""
    from benchmarks.interleaved import ratio

    epoch = np.median(variant.epochs[..., 0])
    in_steps, plain_in_steps = (
        (timings.epochs - timings.hooks)[..., 0].mean(axis=1) for timings in (variant, plain)
    )
    return {
        "epoch_s": float(epoch),
        "wall": dataclasses.asdict(ratio(variant, plain)),
        "cpu": dataclasses.asdict(ratio(variant, plain, clock=1)),
        "hooks_ms": float(1e3 * np.median(variant.hooks[..., 0])),
        "added_us_per_step": float(1e6 * np.median(in_steps - plain_in_steps) / steps),
        "compile_s": float(variant.first_start[0] - epoch),
        "start_s": float(np.median(variant.starts[:, 0]) - epoch),
    }


def _raw(variant: Timings) -> dict[str, list[Any]]:
    """Returns all times in seconds, as pairs of wall and processor time."""
    return {name: array.tolist() for name, array in vars(variant).items()}


def _print_rows(rows: dict[str, Any]) -> None:
    print(
        f"{'':25}{'epoch':>9}{'wall time ratio':>25}{'fastest':>9}{'CPU ratio':>11}{'fastest':>9}"
        f"{'hooks':>8}{'added':>10}{'compile':>9}{'start':>8}\n"
        f"{'':25}{'ms':>9}{'median (quartiles)':>25}{'':9}{'median':>11}{'':9}"
        f"{'ms':>8}{'us/step':>10}{'s':>9}{'s':>8}"
    )
    for name, row in rows.items():
        wall, cpu = row["wall"], row["cpu"]
        spread = f"{wall['median']:.3f} ({wall['lower']:.3f} - {wall['upper']:.3f})"
        print(
            f"{name:25}{1e3 * row['epoch_s']:9.1f}{spread:>25}{wall['fastest']:9.3f}"
            f"{cpu['median']:11.3f}{cpu['fastest']:9.3f}{row['hooks_ms']:8.2f}"
            f"{row['added_us_per_step']:10.1f}{row['compile_s']:9.2f}{row['start_s']:8.3f}"
        )


def _time_targets(workload: Workload, rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Compares each variant with its target, in wall and in processor time."""
    return [
        {
            "what": f"{workload.name}, {way}, {clock} time over plain fit",
            "at_most": at_most,
            "measured": rows[way][clock]["median"],
            "reached": rows[way][clock]["median"] <= at_most,
            "within_noise": rows[way][clock]["lower"] <= at_most <= rows[way][clock]["upper"],
        }
        for way, at_most in workload.at_most.items()
        if way in rows
        for clock in ("wall", "cpu")
    ]


# Memory.


def _memory(quick: bool) -> dict[str, Any]:
    """Measures the memory of records, and prints it."""
    from benchmarks import memory

    records = QUICK_RECORDS if quick else RECORDS
    sketch, none = (memory.measured_apart(kind, records, quick) for kind in ("sketch", "none"))
    exact = memory.measured_apart("exact", records, small=True)
    large, small = (_exact_mib(model["parameters"], records) for model in (sketch, exact))
    print(
        f"\nmemory of {records} records, MiB\n"
        f"exact:  {sketch['parameters']:,} parameters: {large:,.0f} (computed: 4 bytes each)\n"
        f"        {exact['parameters']:,} parameters: {small:,.1f} (computed), "
        f"{exact['held_mib']:,.1f} (measured)\n"
        f"sketch: {sketch['parameters']:,} parameters at {memory.BUCKETS} buckets: "
        f"{sketch['held_mib']:,.1f} (measured), "
        f"{sketch['most_held_mib']:,.1f} for a moment\n"
        f"        peak of the process {sketch['peak_rss_mib']:,.0f}, without the callback "
        f"{none['peak_rss_mib']:,.0f}: "
        f"{sketch['peak_rss_mib'] - none['peak_rss_mib']:,.0f} more\n"
        f"        a record took {_seconds_a_record(sketch, none):.2f} s"
    )
    return {
        "records": records,
        "exact_computed_mib": large,
        "small": {"exact_computed_mib": small, "measured": exact},
        "sketch": sketch,
        "without": none,
        "targets": [
            {
                "what": f"MiB held for {records} sketches of {sketch['parameters']:,} parameters",
                "at_most": SKETCH_MIB,
                "measured": sketch["held_mib"],
                "reached": sketch["held_mib"] <= SKETCH_MIB,
                "within_noise": False,
            }
        ],
    }


def _exact_mib(parameters: int, records: int) -> float:
    return 4 * parameters * records / 2**20


def _seconds_a_record(with_records: dict[str, Any], without: dict[str, Any]) -> float:
    return (with_records["fit_s"] - without["fit_s"]) / with_records["records"]


def _verdict(target: dict[str, Any]) -> str:
    verdict = "reached" if target["reached"] else "NOT reached"
    if target["within_noise"]:
        verdict += ", but within the noise"
    return f"{target['what']}: {target['measured']:.3f}, at most {target['at_most']}: {verdict}"


if __name__ == "__main__":
    main()
