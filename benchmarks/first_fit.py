"""Measures the time that both callbacks add until a large model has made its first update.

python -m benchmarks.first_fit [--rounds 5] [--models ResNet50 DenseNet121]

In each round, the model is built three times and trained with plain `fit`, with plain `fit` again,
and with the callbacks, in a random order. The optimizer is built before, so the times are mainly
those of tracing and compiling. On a busy machine, processor times are more reliable.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time

import keras
import numpy as np
import tqdm

import keras_lcb as lcb
from benchmarks import machine

PLAIN, CONTROL, BOTH = "plain fit", "plain fit, a second one", "both callbacks"


def first_update(name: str, variant: str) -> tuple[float, float]:
    """Returns the wall and processor seconds of a `fit` with one update."""
    keras.backend.clear_session()
    gc.collect()
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    x, y = np.zeros((2, 64, 64, 3), "float32"), np.zeros(2, "int32")
    callbacks = [lcb.LayerConvergence(), lcb.GradientNorms()] if variant == BOTH else []
    start = time.perf_counter(), time.process_time()
    model.fit(x, y, batch_size=2, verbose=0, callbacks=callbacks)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--models", nargs="+", default=["ResNet50", "DenseNet121"])
    given = parser.parse_args()
    print(machine.sentence(machine.describe()))
    for name in given.models:
        first_update(name, BOTH)  # loads libraries, which takes time only once
        taken: dict[str, list[tuple[float, float]]] = {PLAIN: [], CONTROL: [], BOTH: []}
        for _ in tqdm.trange(given.rounds, desc=name, leave=False):
            for variant in random.sample(list(taken), len(taken)):
                taken[variant].append(first_update(name, variant))
        for variant in (CONTROL, BOTH):
            pairs = zip(taken[variant], taken[PLAIN], strict=True)
            wall, cpu = zip(*((a[0] / b[0], a[1] / b[1]) for a, b in pairs), strict=True)
            print(
                f"{name}, {variant}: wall {statistics.median(wall):.2f} "
                f"({min(wall):.2f} to {max(wall):.2f}), processor time "
                f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}) times plain fit"
            )


if __name__ == "__main__":
    main()
