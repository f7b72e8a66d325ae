"""Measures how long a learner waits in the lab, and how much its live pictures slow training down.

python -m benchmarks.lab [--updates 8000] [--rounds 3] [--json FILE] [--quick]

The program runs in one process on TensorFlow, without a browser. It starts the lab like the button
Start. Each picture is made and encoded for the viewer as usual, but no viewer draws it. Each round
trains with the same settings once in the lab, and once without it through `synthetic.run`, with the
same callbacks and records. Plain and residual networks take turns. One run before the rounds is not
counted.

- first picture: seconds from Start to the first picture of this training;
- pictures a second: from the first picture of the training to the last;
- updates a second: from the first record after the start to the last record. Building and compiling
  the model are not included, with or without the lab;
- answer: the longest of the seconds from a change of a setting, of some that need a new network or
  target, until its drawing is sent;
- Stop: seconds from the call until training has ended and its last picture is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import time
from typing import Any

FIRST_PICTURE, PICTURES_A_SECOND, RATIO, STOP, ANSWER = 0.5, 15.0, 0.9, 0.5, 0.1


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=8000, help="default: 8000")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--quick", action="store_true", help="400 updates, to show that it runs")
    options = parser.parse_args(arguments)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    updates, rounds = (400, 1) if options.quick else (options.updates, options.rounds)

    from benchmarks import machine

    report: dict[str, Any] = {"machine": machine.describe(), "updates": updates}
    print(machine.sentence(report["machine"]))
    report["networks"] = measure(updates, rounds)
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"\nwritten: {options.json}")


def measure(updates: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Returns the measurements of each round, by network and name."""
    from keras_lcb.lab import Settings

    networks = {
        "plain": Settings(updates=updates),
        "residual": Settings(updates=updates, residual=True, learning_rate=0.01),
    }
    for settings in networks.values():
        _in_lab(settings)
    seen: dict[str, dict[str, list[float]]] = {name: {} for name in networks}
    for _ in range(rounds):
        for name, settings in networks.items():
            alone = _alone(settings)
            numbers = _in_lab(settings) | {"updates a second without a lab": alone}
            numbers["ratio"] = numbers["updates a second"] / alone
            numbers["stop"] = _stop(settings)
            numbers["answer"] = _answer(settings)
            for key, value in numbers.items():
                seen[name].setdefault(key, []).append(value)
    return seen


def _in_lab(settings: Any) -> dict[str, float]:
    lab, drawn = _watched(settings)
    began = time.perf_counter()
    lab.start()
    while lab.run is None:
        time.sleep(0.01)
    run = lab.run
    lab.close()
    live = drawn
    lasted = live[-1] - live[0]
    return {
        "first picture": live[0] - began,
        "pictures a second": (len(live) - 1) / lasted if lasted else float("nan"),
        "updates a second": _updates_a_second(run),
    }


def _alone(settings: Any) -> float:
    from keras_lcb.synthetic import run

    return _updates_a_second(run(settings.config(), functions=True))


def _stop(settings: Any) -> float:
    lab, drawn = _watched(settings)
    lab.start()
    while not drawn:
        time.sleep(0.001)
    began = time.perf_counter()
    lab.stop()
    while lab.run is None:
        time.sleep(0.001)
    took = time.perf_counter() - began
    lab.close()
    return took


def _watched(settings: Any) -> tuple[Any, list[float]]:
    """Returns a lab, and a list to which the times of its pictures are added."""
    from keras_lcb.lab import DepthLab

    lab = DepthLab.from_config(settings.to_text())
    drawn: list[float] = []
    go_on = lab._gallery.go_on

    def watched(*arguments: Any) -> None:
        go_on(*arguments)
        drawn.append(time.perf_counter())

    setattr(lab._gallery, "go_on", watched)  # noqa: B010
    return lab, drawn


def _answer(settings: Any) -> float:
    """Returns the longest time that the lab takes to answer the change of a setting."""
    from keras_lcb.lab import DepthLab

    lab, longest = DepthLab.from_config(settings.to_text()), 0.0
    for name, values in (
        ("depth", (3, 9, 12)),
        ("width", (96, 32)),
        ("target", ("square", "chirp")),
        ("learning_rate", (0.03,)),
    ):
        for value in values:
            began = time.perf_counter()
            lab._controls.by_name[name].value = value
            longest = max(longest, time.perf_counter() - began)
    lab.close()
    return longest


def _updates_a_second(run: Any) -> float:
    steps, seconds = run["step"].values, run["wall_time"].values
    return float((steps[-1] - steps[1]) / (seconds[-1] - seconds[1]))


def _print(report: dict[str, Any]) -> None:
    for name, seen in report["networks"].items():
        rounds = len(seen["ratio"])
        print(f"\n{name}, {report['updates']} updates, {rounds} rounds:")
        for key, values in seen.items():
            print(f"  {key:32}" + "".join(f"{value:10.2f}" for value in values))
        for text, key, wanted, least in (
            ("seconds to the first picture", "first picture", FIRST_PICTURE, False),
            ("pictures a second", "pictures a second", PICTURES_A_SECOND, True),
            ("updates a second, divided by those without a lab", "ratio", RATIO, True),
            ("seconds to answer a change of a setting", "answer", ANSWER, False),
            ("seconds from Stop to the end of training", "stop", STOP, False),
        ):
            value = statistics.median(seen[key])
            reached = value >= wanted if least else value <= wanted
            bound = f"at {'least' if least else 'most'} {wanted:g}"
            verdict = "reached" if reached else "NOT reached"
            print(f"{value:7.2f}  {text}; target {bound}: {verdict}")


if __name__ == "__main__":
    main()
