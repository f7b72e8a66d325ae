"""Measures how much memory the records of `LayerConvergence` take.

python -m benchmarks.memory none|exact|sketch [--records 200] [--small]

The program measures one kind of records and prints a JSON object. Each kind needs a separate
process, because the operating system reports the peak memory of a process. The memory that the
callback holds is measured with tracemalloc, which knows every NumPy array. The peak of the process
also includes temporary copies. Compare it with the peak without the callback (`none`).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import tracemalloc
from typing import Any

MIB = 2**20
KINDS = ["none", "exact", "sketch"]
BUCKETS = 1024
BATCH_SIZE = 2


def measured_apart(kind: str, records: int, small: bool) -> dict[str, Any]:
    """Runs `measure` in a new process, on the backend that KERAS_BACKEND names."""
    command = [sys.executable, "-m", "benchmarks.memory", kind, "--records", str(records)]
    if small:
        command.append("--small")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(kind: str, records: int, small: bool) -> dict[str, Any]:
    """Trains with one record before and one after each update.

    Args:
        kind: "none" for training without the callback, or the value of its argument `memory`.
        records: Number of records.
        small: Whether to use a model with about a hundredth of the parameters.

    Returns:
        A dict with sizes in MiB, and the seconds of the `fit`.
    """
    import keras
    import numpy as np

    import keras_lcb as lcb

    keras.utils.set_random_seed(0)
    model = _small_model() if small else _large_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    shape = (BATCH_SIZE * (records - 1), *model.input_shape[1:])
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    y = np.zeros(len(x), "int32")
    callbacks = []
    if kind != "none":
        callbacks = [lcb.LayerConvergence(every=1, memory=kind, buckets=BUCKETS, budget=2**40)]
    model.fit(x[:BATCH_SIZE], y[:BATCH_SIZE], verbose=0)  # compiles

    gc.collect()
    _forget_peak()
    tracemalloc.start()
    began = time.perf_counter()
    model.fit(x, y, batch_size=BATCH_SIZE, verbose=0, callbacks=callbacks)
    seconds = time.perf_counter() - began
    gc.collect()  # what waits for the collector is not held
    held, most_held = tracemalloc.get_traced_memory()
    arrays = _bytes_of_arrays()
    tracemalloc.stop()
    return {
        "kind": kind,
        "parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables),
        "records": callbacks[0].results.sizes["step"] if callbacks else 0,
        "held_mib": held / MIB,
        "arrays_mib": arrays / MIB,
        "most_held_mib": most_held / MIB,
        "peak_rss_mib": _peak_bytes() / MIB,
        "fit_s": seconds,
    }


def _large_model() -> Any:
    """Returns ResNet-50 (25.6 million parameters in 107 layers) for small images, to save time."""
    import keras

    return keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=1000)


def _small_model() -> Any:
    """Returns a model with about a hundredth of the parameters."""
    import keras

    hidden = [keras.layers.Dense(256, activation="relu") for _ in range(4)]
    return keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(200, "softmax")])


def _bytes_of_arrays() -> int:
    """Returns how many of the traced bytes are the contents of NumPy arrays.

    They depend on nothing that Python or a library caches when code runs for the first time.
    """
    import numpy as np

    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
    return sum(trace.size for trace in traces)


def _forget_peak() -> None:
    """Resets the peak memory of the process, on Linux.

    Otherwise the peak would be that of compilation, which needs more memory than training.
    """
    setting = pathlib.Path("/proc/self/clear_refs")
    if setting.exists():
        setting.write_text("5")


def _peak_bytes() -> int:
    """Returns the peak of the process's resident memory, in bytes."""
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--records", type=int, default=200, help="default: 200")
    parser.add_argument("--small", action="store_true", help="a model a hundredth of the size")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(json.dumps(measure(options.kind, options.records, options.small)))


if __name__ == "__main__":
    main()
