"""Damages files of runs in many ways, and loads each.

python -m battery.damage [--files 5000] [--seed 0]

Every file must be refused in a sentence (`ValueError`), or be loaded as it was saved: never another
error, never a crash of the interpreter, never a wrong number. A file without the checksum of
`save_run`, as other programs write it, may also be loaded with changed numbers, since nothing
tells. Files are loaded in a process of their own, which is replaced when it dies. `hypothesis`
makes files with an arbitrary content. The result is stored in `battery/results/damage.json`;
if interrupted, the command goes on there.
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import os
import pathlib
import platform
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from battery import made_files, stored
from keras_lcb.runs import example_run
from keras_lcb.runs.storage import load_run, save_run

if TYPE_CHECKING:
    import xarray as xr

OUTCOMES = ("refused", "right", "changed", "wrong", "crash", "hang")
_LONGEST = 60.0  # seconds after which a file counts as one that hangs
Damage = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Changes one byte, or a few."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        damaged[rng.randrange(len(damaged))] ^= rng.randint(1, 255)
    return bytes(damaged)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Drops the end, often only little of it."""
    return content[: -rng.choice((rng.randint(1, 100), rng.randint(1, len(content))))]


def blank(content: bytes, rng: random.Random) -> bytes:
    """Sets a block to zero, as a disk does that has lost it; often the last one."""
    size = rng.choice((64, 512, 4096))
    at = rng.choice((len(content) - size, rng.randrange(len(content))))
    at = max(at, 0) // size * size
    return content[:at] + bytes(len(content[at : at + size])) + content[at + size :]


def mixed(content: bytes, rng: random.Random) -> bytes:
    """Copies a part of the file to another place, or puts something behind its end."""
    size = rng.randint(1, 1000)
    part = content[(start := rng.randrange(len(content))) : start + size]
    at = rng.choice((len(content), rng.randrange(len(content))))
    return content[:at] + part + content[at + len(part) :]


# How files are damaged, whether they have a checksum, and the share of `--files` that is tried:
# less where files have to be read in another process first, which takes a second.
KINDS: dict[str, tuple[Damage, bool, float]] = {
    "bytes changed": (flipped, True, 1.0),
    "cut short": (cut, True, 1.0),
    "blocks set to zero": (blank, True, 1.0),
    "parts misplaced": (mixed, True, 1.0),
    "bytes changed, no checksum": (flipped, False, 0.02),
    "cut short, no checksum": (cut, False, 0.02),
}
_MADE = "made by hypothesis"
_SHARE_MADE = 0.02


def outcomes_of(kind: str, files: int, seed: int) -> collections.Counter[str]:
    """Damages so many files in one way, and returns how often each outcome came about."""
    damage, has_checksum, _ = KINDS[kind]

    def load(first: int) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "run.nc")
            wholes = [_whole(run, path, has_checksum) for run in (example_run(), example_run(2))]
            for number in range(first, files):
                rng = random.Random(f"{kind} {seed} {number}")
                content, run = rng.choice(wholes)
                path.write_bytes(damage(content, rng))
                yield outcome(path, run, "wrong" if has_checksum else "changed")

    return _counted(load)


def outcomes_of_made_files(files: int, seed: int) -> collections.Counter[str]:
    """Loads files with an arbitrary content, and returns how often each outcome came about."""

    def load(first: int) -> Iterator[str]:
        if first >= files:  # the one that follows a crash makes other files
            return
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "run.nc")
            for _ in made_files.made(path, files - first, seed + first):
                yield outcome(path, None, "wrong")

    return _counted(load)


def outcome(path: pathlib.Path, run: xr.Dataset | None, if_different: str) -> str:
    """Loads a file, and returns what came of it.

    Args:
        path: The file.
        run: What it held before it was damaged; `None` if anything is right that is a run.
        if_different: What it is called if something else is loaded.
    """
    try:
        loaded = load_run(path, max_bytes=2**26)
    except ValueError as error:
        return "refused" if str(error).startswith(f"'{path}' ") else f"badly said: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if run is None or loaded.identical(run):
        return "right"
    return if_different


def _whole(run: xr.Dataset, path: pathlib.Path, checksum: bool) -> tuple[bytes, xr.Dataset]:
    if checksum:
        save_run(run, path)
    else:
        path.write_bytes(run.to_netcdf(engine="h5netcdf"))
    return path.read_bytes(), load_run(path)


def _counted(load: Callable[[int], Iterator[str]]) -> collections.Counter[str]:
    """Counts outcomes, which come from a forked process; if it dies, another goes on after that.

    Args:
        load: Loads files from a number on, and yields the outcome of each.
    """
    counted: collections.Counter[str] = collections.Counter()
    while True:
        came, end = _in_a_process(load, counted.total())
        counted.update(came)
        if end == "":
            return counted
        counted[end] += 1


def _in_a_process(load: Callable[[int], Iterator[str]], first: int) -> tuple[list[str], str]:
    """Returns the outcomes from a forked process, and how it ended: "" if it came to its end."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _say_all(load(first), writing)
    os.close(writing)
    said = bytearray()
    end = "crash"
    while select.select([reading], [], [], _LONGEST)[0]:
        part = os.read(reading, 2**16)
        if not part:
            break
        said += part
    else:
        end = "hang"
        os.kill(process, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    return said.decode().splitlines(), end if status else ""


def _say_all(lines: Iterator[str], writing: int) -> None:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # HDF5 says much about damaged files
        for line in lines:
            os.write(writing, f"{' '.join(line.split())}\n".encode())
        code = 0
    except BaseException:
        os.write(writing, f"{' '.join(traceback.format_exc().split())}\n".encode())
    finally:
        os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; returns 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m battery.damage", description=__doc__)
    parser.add_argument(
        "--files", type=int, default=5000, help="of each kind at most (default: 5000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=stored.FOLDER)
    options = parser.parse_args(arguments)
    kept = stored.read("damage", options.out)
    if kept.get("seed") != options.seed or kept.get("versions") != _versions():
        kept = {"seed": options.seed, "versions": _versions(), "kinds": {}}
    for kind in (*KINDS, _MADE):
        files = int(options.files * (_SHARE_MADE if kind == _MADE else KINDS[kind][2]))
        if sum(kept["kinds"].get(kind, {"outcomes": {}})["outcomes"].values()) == files:
            continue
        started = time.monotonic()
        if kind == _MADE:
            counted = outcomes_of_made_files(files, options.seed)
        else:
            counted = outcomes_of(kind, files, options.seed)
        row = {"outcomes": dict(counted), "seconds": round(time.monotonic() - started, 1)}
        kept["kinds"][kind] = row
        stored.write("damage", kept, options.out)
    print(_table(kept["kinds"]))
    bad = {name for row in kept["kinds"].values() for name in row["outcomes"]}
    return int(bool(bad - {"refused", "right", "changed"}))


def _versions() -> dict[str, str]:
    names = ("h5netcdf", "h5py", "hypothesis", "numpy", "xarray")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _table(kinds: dict[str, Any]) -> str:
    rows = []
    for kind, row in kinds.items():
        counted = row["outcomes"]
        other = {name: n for name, n in counted.items() if name not in OUTCOMES}
        known = [counted.get(name, 0) for name in OUTCOMES]
        rows.append([kind, sum(counted.values()), *known, other or "none", row["seconds"]])
    return stored.table(["damage", "files", *OUTCOMES, "other errors", "s"], rows)


if __name__ == "__main__":
    sys.exit(main())
