"""How much faster a study is in two processes, and what it costs to schedule a member.

    python -m benchmarks.study
    python -m benchmarks.study --members 40 --empty 10000

It runs the 1-D trainings of section 2 in one process with one thread, and again in processes of one
thread each. Then it runs members that do nothing: they cost only what handing out, locking,
writing and looking up takes. How many workers of a cluster that rate keeps busy follows from it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

import joblib

from benchmarks.machine import describe, sentence
from keras_lcb.experiments.member import Member
from keras_lcb.experiments.running import complete
from keras_lcb.experiments.section import claims
from keras_lcb.runs import schema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--members", type=int, default=40, help="trainings (default: 40)")
    parser.add_argument("--empty", type=int, default=10_000, help="empty members (default: 10000)")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="processes")
    options = parser.parse_args()
    print(sentence(describe()))
    if options.members:
        print(throughput(options.members, options.jobs))
    print(scheduling(options.empty, options.jobs))


def throughput(members: int, jobs: int) -> str:
    """Times trainings in one process with one thread, and in several."""
    alone, together = (timed_in_a_process(members, count) for count in (1, jobs))
    return (
        f"{members} trainings: {alone:.0f} s in one process with one thread, {together:.0f} s in "
        f"{jobs}: {alone / together:.2f} times the throughput."
    )


def timed_in_a_process(members: int, jobs: int) -> float:
    """Returns the seconds that a study takes, from its beginning to its end.

    A process of its own keeps to one thread; TensorFlow has one number of them for all its life.
    """
    program = f"from benchmarks.study import study; study({members}, {jobs})"
    one = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **one},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(told.stdout)


def study(members: int, jobs: int) -> None:
    """Runs trainings, and prints the seconds that it took."""
    made = [m for m in claims()["shallower-first"].members() if str(m).startswith("setting 1-D")]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        complete(made[:members], folder, jobs=jobs, progress=False)
        print(time.perf_counter() - began)


def scheduling(members: int, jobs: int) -> str:
    """Times members that do nothing."""
    made = [Member((), seed, None, f"{seed:020x}", empty) for seed in range(members)]
    warm = [Member((), seed, None, f"warm{seed:016x}", empty) for seed in range(jobs)]
    with tempfile.TemporaryDirectory() as folder:
        complete(warm, folder, jobs=jobs, progress=False)
        began = time.perf_counter()
        complete(made, folder, jobs=jobs, progress=False)
        wall = time.perf_counter() - began
    each = wall / members
    return (
        f"{members:,} empty members in {jobs} processes: {wall:.0f} s, {1000 * each:.1f} ms a "
        f"member. At that rate 100,000 members are handed out in {100_000 * each / 3600:.1f} h, "
        f"and up to {10 / each:,.0f} workers of a cluster are kept busy with members of 10 s."
    )


def empty() -> Any:
    """Returns a run with nothing in it."""
    return schema.dataset({}, {"step": [0]})


if __name__ == "__main__":
    main()
