"""Runs checks and keeps each result as it ends, so that an interrupted run goes on."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
BACKENDS = ("tensorflow", "jax", "torch")
KINDS = ("models", "trainings", "optimizers")

# XLA optimizes deep networks for minutes, for programs that run twice.
_QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

Check = Callable[[], Any]


def checks(kind: str, which: str | None = None) -> Iterator[tuple[str, Check]]:
    """Yields the names of the checks of a kind on the backend in use, each with its function.

    Args:
        kind: One of `KINDS`.
        which: The file of models; `None` for all files.
    """
    if kind == "models":
        from battery import models, models_check

        for case in models.cases(which):
            yield case.name, functools.partial(models_check.check, case.make)
    elif kind == "trainings":
        from battery import trainings, trainings_check

        for module in trainings.trainings():
            yield trainings.name_of(module), functools.partial(trainings_check.check, module)
    else:
        from battery import optimizers

        for pair in optimizers.combinations():
            yield " with ".join(pair), functools.partial(optimizers.check, *pair)


def run(kind: str, which: str | None = None) -> None:
    """Runs the checks that have no result yet, on the backend in use.

    Args:
        kind: One of `KINDS`.
        which: The file of models; `None` for all files.
    """
    backend = os.environ["KERAS_BACKEND"]
    path = RESULTS / f"{kind}.{backend}.json"
    for name, check in checks(kind, which):
        known = read(path)
        if name in known:
            continue
        started = time.perf_counter()
        try:
            result = dataclasses.asdict(check())
        except Exception as error:  # whatever a check raises is a result
            result = {"faults": [f"{type(error).__name__}: {str(error)[:300]}"]}
        result["seconds"] = round(time.perf_counter() - started, 1)
        print(f"{backend}: {name}: {result['faults'] or 'right'}", flush=True)
        write(path, {**read(path), name: result})
        gc.collect()  # models refer to themselves, and large ones would fill the memory


def read(path: Path) -> dict[str, Any]:
    """Returns the results in a file; none if it does not exist."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, results: dict[str, Any]) -> None:
    """Writes results, in a stable order."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def run_everywhere() -> None:
    """Runs all checks on all backends, in processes of their own."""
    for backend in BACKENDS:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if backend == "jax":
            environment.setdefault("XLA_FLAGS", _QUICK_TO_COMPILE)
        parts = [["battery", kind] for kind in KINDS] + [["battery.kills"]]
        for part in [*parts, ["battery.damage"]] if backend == "torch" else parts:
            subprocess.run([sys.executable, "-m", *part], env=environment, check=False)
