"""Kills processes that train, save runs and write reports, and looks at what they leave.

python -m battery.kills [saving] [reports] [training] [--kills 200] [--seed 0]

Each process is killed (SIGKILL) at a random moment, which the seed determines. Afterwards a run or
a report must be the old one or the new one, whole; and a training, started again, must go on at the
epoch after the last one that had ended, and must end at the weights and with the record of a
training that nobody killed. Trainings use the backend that KERAS_BACKEND names. Processes are
forked from this one, which has imported what they need, but has computed nothing with the backend.
Results are added to `battery/results/kills.json`; if interrupted, the command goes on there.
"""

from __future__ import annotations

import argparse
import atexit
import dataclasses
import functools
import importlib.metadata
import os
import pathlib
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from battery import killed_training, stored

if TYPE_CHECKING:
    import xarray as xr

Say = Callable[[str], Any]
_ENOUGH = 5  # failures after which there is no need to go on


@dataclass
class Tally:
    """How many processes were killed, how many of them midway in a write, and what went wrong."""

    rounds: int = 0  # kills, or trainings, each of which is killed several times
    kills: int = 0
    midway: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def kill(child: Callable[[Say], None], wait: float) -> tuple[bool, list[str]]:
    """Runs a function in a forked process, and kills that some time after it says its first line.

    Args:
        child: The function, which receives a function that says a line.
        wait: Seconds from the first line to the kill.

    Returns:
        Whether the process was still running, and the lines that it said.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _run_as_child(child, writing)
    os.close(writing)
    with open(reading) as lines:
        said = [lines.readline().strip()]
        time.sleep(wait)
        os.kill(process, signal.SIGKILL)
        said += [line.strip() for line in lines if line.endswith("\n")]
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status), said


def _run_as_child(child: Callable[[Say], None], writing: int) -> None:
    code = 1
    try:
        child(lambda line: os.write(writing, f"{line}\n".encode()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def saving(number: int, seed: int) -> Iterator[tuple[bool, str]]:
    """Kills a process that saves two runs in turn; yields whether midway, and what went wrong."""
    import xarray as xr

    from keras_lcb.runs.storage import load_run, save_run

    rng = random.Random(f"saving {seed} {number}")
    runs, contents = _runs_to_save()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "run.nc")
        save_run(runs[0], path)

        def child(say: Say) -> None:
            if number % 4:  # spends the time on writing, not on encoding
                xr.Dataset.to_netcdf = lambda run, engine: contents[run.attrs["seed"]]  # type: ignore[method-assign,assignment]
            while True:
                for run in reversed(runs):
                    say("saving")
                    save_run(run, path)

        running, _ = kill(child, rng.uniform(0.0, 0.05))
        found = load_run(path)
        right = running and any(found.identical(run) for run in runs)
        yield _has_leftover(path), "" if right else f"kill {number}: not one of the two runs"


def reports(number: int, seed: int) -> Iterator[tuple[bool, str]]:
    """Kills a process that writes two reports in turn."""
    from keras_lcb.report import write_report, writing

    rng = random.Random(f"reports {seed} {number}")
    runs, pages = _runs_to_report()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "report.html")
        path.write_text(pages[0])

        def child(say: Say) -> None:
            if number % 2:  # spends the time on writing, not on drawing
                writing.page = lambda run, title: pages[[run is each for each in runs].index(True)]
            while True:
                for run in reversed(runs):
                    say("writing")
                    write_report(run, path, title=_TITLE)

        running, _ = kill(child, rng.uniform(0.0, 0.01 if number % 2 else 1.5))
        right = running and path.read_text() in pages
        yield _has_leftover(path), "" if right else f"kill {number}: not one of the two reports"


def training(number: int, seed: int) -> Iterator[tuple[bool, str]]:
    """Kills a training, and the one that goes on with it, and so on until one comes to its end."""
    rng = random.Random(f"training {seed} {number}")
    unbroken, seconds = _unbroken()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        order, last = rng.sample(range(3), 3), -1
        while not (folder / killed_training.END).exists():
            train = functools.partial(killed_training.train, folder, order)
            running, said = kill(train, rng.uniform(0.0, seconds / 2))
            problem = killed_training.problem(said, last)
            last = killed_training.last_ended(said, last)
            if problem or not (running or said[-1] == "done"):
                yield False, f"training {number}: {problem or f'an error after {said}'}"
                return
            if running:
                yield any(folder.rglob("*.tmp")), ""
        yield False, killed_training.compared(folder, unbroken)


KINDS: dict[str, Callable[[int, int], Iterator[tuple[bool, str]]]] = {
    "saving": saving,
    "reports": reports,
    "training": training,
}
_TITLE = "Killed"


@functools.cache
def _runs_to_save() -> tuple[list[xr.Dataset], list[bytes]]:
    """Returns two runs of some megabytes, and what their files hold."""
    from keras_lcb.runs import schema

    steps, layers = np.arange(10_000), [f"layer_{place}" for place in range(20)]
    runs = []
    for which in (0, 1):
        distance = np.random.default_rng(which).random((len(steps), len(layers)))
        variables = {"distance": (("step", "layer"), distance)}
        runs.append(schema.dataset(variables, {"step": steps, "layer": layers}, {"seed": which}))
    return runs, [bytes(run.to_netcdf(engine="h5netcdf")) for run in runs]


@functools.cache
def _runs_to_report() -> tuple[list[xr.Dataset], list[str]]:
    """Returns two runs and their reports."""
    from keras_lcb.report.writing import page
    from keras_lcb.runs import example_run

    runs = [example_run(layers=layers, gradients=False) for layers in (2, 3)]
    return runs, [page(run, _TITLE) for run in runs]


@functools.cache
def _unbroken() -> tuple[pathlib.Path, float]:
    """Returns the folder of a training that is not killed, and the seconds that it takes."""
    folder = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    started = time.monotonic()
    process = os.fork()
    if process == 0:
        train = functools.partial(killed_training.train, folder, [0, 1, 2])
        _run_as_child(train, os.open(os.devnull, os.O_WRONLY))
    os.waitpid(process, 0)
    return folder, time.monotonic() - started


def _has_leftover(path: pathlib.Path) -> bool:
    return any(path.parent.glob(f".{path.name}.*.tmp"))


def killed(kind: str, kills: int, seed: int, tally: Tally) -> Tally:
    """Goes on to kill processes of a kind until there were so many kills."""
    started = time.monotonic()
    before = tally.seconds
    while tally.kills < kills and len(tally.failures) < _ENOUGH:
        for midway, failure in KINDS[kind](tally.rounds, seed):
            tally.kills += 1
            tally.midway += midway
            tally.failures += [failure] if failure else []
        tally.rounds += 1
        tally.seconds = round(before + time.monotonic() - started, 1)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; returns 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m battery.kills", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="kind")
    parser.add_argument("--kills", type=int, default=200, help="of each kind (default: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=stored.FOLDER)
    options = parser.parse_args(arguments)
    kept = stored.read("kills", options.out)
    _import_what_children_need()
    for kind in options.kinds or KINDS:
        name = _name(kind)
        same = name in kept and kept[name]["seed"] == options.seed
        tally = Tally(**kept[name]["tally"]) if same else Tally()
        while tally.kills < options.kills and len(tally.failures) < _ENOUGH:
            killed(kind, min(options.kills, tally.kills + 10), options.seed, tally)
            row = {"seed": options.seed, "tally": dataclasses.asdict(tally)}
            kept[name] = row | {"versions": _versions()}
            stored.write("kills", kept, options.out)
    print(_table(kept))
    return int(any(row["tally"]["failures"] for row in kept.values()))


def _import_what_children_need() -> None:
    """Imports once what each child would import, `fit` included."""
    import h5py  # noqa: F401
    import tensorflow  # noqa: F401
    import xarray  # noqa: F401

    import keras_lcb  # noqa: F401


def _name(kind: str) -> str:
    return f"training, {keras.backend.backend()}" if kind == "training" else kind


def _versions() -> dict[str, str]:
    names = ("keras", keras.backend.backend(), "h5py", "numpy", "xarray")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _table(kept: Mapping[str, Any]) -> str:
    rows = []
    for name, row in kept.items():
        tally = row["tally"]
        wrong = "; ".join(tally["failures"]) or "none"
        rows.append([name, row["seed"], tally["kills"], tally["midway"], wrong, tally["seconds"]])
    return stored.table(["killed", "seed", "kills", "midway in a write", "wrong", "s"], rows)


if __name__ == "__main__":
    sys.exit(main())
