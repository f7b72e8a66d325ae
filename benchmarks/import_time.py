"""Measures what `import keras_lcb` and its callbacks add to `import keras`, over processes.

python -m benchmarks.import_time [--rounds 9]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

LIMIT_MS = 50

# Both imports in one process, because times differ more between processes than by this addition.
PROGRAM = """
import time
start = time.perf_counter()
import keras
between = time.perf_counter()
import keras_lcb
keras_lcb.LayerConvergence
end = time.perf_counter()
print(1e3 * (between - start), 1e3 * (end - between))
"""


def measure() -> tuple[float, float]:
    """Returns the milliseconds for `import keras` and then the callbacks, in a new process."""
    # Allows Python to write and read compiled files, as for an installed package.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    keras_ms, added_ms = map(float, done.stdout.split())
    return keras_ms, added_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="new processes (default: 9)")
    count = parser.parse_args().rounds
    measure()  # writes the compiled files
    rounds = [measure() for _ in range(count)]
    keras_ms, added_ms = (sorted(column) for column in zip(*rounds, strict=True))
    print(f"import keras: {statistics.median(keras_ms):.0f} ms")
    print(
        f"import keras_lcb adds {statistics.median(added_ms):.1f} ms "
        f"({added_ms[0]:.1f} to {added_ms[-1]:.1f} over {len(rounds)} processes; "
        f"target: at most {LIMIT_MS} ms)"
    )


if __name__ == "__main__":
    main()
