"""Compares `synthetic.run`, which records, with a minimal training loop and a simple `fit`.

python -m benchmarks.synthetic [--updates 8000] [--rounds 3] [--json FILE] [--quick]

The program trains the default network (residual, 5 layers of 128 units, 512 points, batches of 128)
in three ways, in turn, in one process on TensorFlow:

- recorded: `synthetic.run`, which records convergence, gradient norms and the frequency response
  every 100 updates;
- bare: a function of 100 updates, compiled with XLA and called repeatedly, which records nothing;
- naive: `model.fit(x, y, batch_size=128, epochs=updates / 4)`, which records nothing.

The last two are compiled before they are timed. `synthetic.run` builds and compiles a model each
time. So two times are given for it: the whole time, and the time of training after its first
record.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RATIO_TO_BARE, FASTER_THAN_NAIVE, FIRST_RESULT = 1.3, 8.0, 1.5


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=8000, help="default: 8000")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default: 3)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--quick", action="store_true", help="200 updates, to show that it runs")
    options = parser.parse_args(arguments)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    updates, rounds = (200, 1) if options.quick else (options.updates, options.rounds)

    from benchmarks import machine

    report: dict[str, Any] = {"machine": machine.describe(), "updates": updates}
    print(machine.sentence(report["machine"]))
    report |= measure(updates, rounds)
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"\nwritten: {options.json}")


def measure(updates: int, rounds: int) -> dict[str, Any]:
    """Trains in the three ways in turn, and returns the seconds of each round."""
    from keras_lcb.synthetic import Config

    config = Config(updates=updates)
    ways = {"recorded": _recorded(config), "bare": _bare(config), "naive": _naive(config)}
    for way in ways.values():
        way()
    order = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name in order.permutation(list(ways)):
            gc.collect()
            for part, took in ways[name]().items():
                seconds.setdefault(part, []).append(took)
    return {"seconds": seconds, **_compared(seconds)}


def _recorded(config: Any) -> Callable[[], dict[str, float]]:
    from keras_lcb.synthetic import run

    def train() -> dict[str, float]:
        began = time.perf_counter()
        first: list[float] = []

        # A lab would show its first result now: the run after the first record.
        def note(_: Any) -> None:
            if not first:
                first.append(time.perf_counter() - began)

        run(dataclasses.replace(config, updates=config.record_every), on_record=note)
        began_whole = time.perf_counter()
        result = run(config)
        whole = time.perf_counter() - began_whole
        training = float(result.wall_time[-1] - result.wall_time[1])
        share = (len(result.step) - 2) * config.record_every / config.updates
        return {"recorded": training / share, "whole": whole, "first result": first[0]}

    return train


def _bare(config: Any) -> Callable[[], dict[str, float]]:
    import keras
    import tensorflow as tf

    from keras_lcb.synthetic.experiment import batch_order, compiled_model

    model = compiled_model(config)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    grid = config.target.grid(config.points)
    x, y = tf.constant(grid, tf.float32), tf.constant(config.target(grid), tf.float32)
    order = batch_order(config).reshape(-1, config.record_every, config.batch_size)

    @tf.function(jit_compile=True)
    def updates(chosen: tf.Tensor) -> tf.Tensor:
        loss = tf.zeros(())
        for row in tf.range(config.record_every):
            batch = tf.gather(x, chosen[row]), tf.gather(y, chosen[row])
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(batch[0], training=True) - batch[1]) ** 2)
            variables = [variable.value for variable in model.trainable_variables]
            optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss

    def train() -> dict[str, float]:
        began = time.perf_counter()
        for chosen in order:
            loss = updates(tf.constant(chosen))
        keras.ops.convert_to_numpy(loss)
        return {"bare": time.perf_counter() - began}

    return train


def _naive(config: Any) -> Callable[[], dict[str, float]]:
    import keras

    from keras_lcb.synthetic.experiment import compiled_model

    fast = compiled_model(config)
    model = keras.Model(fast.inputs, fast.outputs)  # with Keras' own training step
    model.compile(fast.optimizer, "mse")
    x = config.target.grid(config.points)
    y = config.target(x)
    epochs = config.updates * config.batch_size // config.points

    def train() -> dict[str, float]:
        began = time.perf_counter()
        model.fit(x, y, batch_size=config.batch_size, epochs=epochs, verbose=0)
        return {"naive": time.perf_counter() - began}

    return train


def _compared(seconds: dict[str, list[float]]) -> dict[str, Any]:
    recorded, whole = np.array(seconds["recorded"]), np.array(seconds["whole"])
    bare, naive = np.array(seconds["bare"]), np.array(seconds["naive"])
    return {
        "over_bare": float(np.median(recorded / bare)),
        "over_bare_fastest": float(recorded.min() / bare.min()),
        "whole_over_bare": float(np.median(whole / bare)),
        "faster_than_naive": float(np.median(naive / whole)),
        "first_result_s": float(np.median(seconds["first result"])),
    }


def _print(report: dict[str, Any]) -> None:
    rounds = len(report["seconds"]["bare"])
    print(f"\n{report['updates']} updates, {rounds} interleaved rounds, seconds:")
    for name, took in report["seconds"].items():
        print(f"  {name:14}" + "".join(f"{value:9.2f}" for value in took))
    for text, value, wanted, reached in (
        (
            f"time of training with records, divided by that of the bare loop (fastest of each: "
            f"{report['over_bare_fastest']:.2f}; with building and compiling: "
            f"{report['whole_over_bare']:.2f})",
            report["over_bare"],
            f"at most {RATIO_TO_BARE}",
            report["over_bare"] <= RATIO_TO_BARE,
        ),
        (
            "times faster than the naive fit, building and compiling included",
            report["faster_than_naive"],
            f"at least {FASTER_THAN_NAIVE:g}",
            report["faster_than_naive"] >= FASTER_THAN_NAIVE,
        ),
        (
            "seconds from the call to the first result",
            report["first_result_s"],
            f"at most {FIRST_RESULT}",
            report["first_result_s"] <= FIRST_RESULT,
        ),
    ):
        print(f"{value:7.2f}  {text}; target {wanted}: {'reached' if reached else 'NOT reached'}")


if __name__ == "__main__":
    main()
