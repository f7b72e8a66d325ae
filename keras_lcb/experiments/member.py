"""One member of a study: run where it is sent, alone at it, and written as it ends."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.storage import save_run

if TYPE_CHECKING:
    import xarray as xr

DEATHS = 2  # processes that a member may kill before it counts as failed


@dataclass(frozen=True)
class Member:
    """One run of a study.

    Attributes:
        choice: Its place in the grid, as (name, value) pairs.
        seed: Its seed.
        config: All its settings, for who reads them.
        key: Name of its result.
        make: Returns its run.
    """

    choice: tuple[tuple[str, Any], ...]
    seed: int
    config: Any
    key: str
    make: Callable[[], xr.Dataset] = dataclasses.field(compare=False, repr=False)

    def __str__(self) -> str:
        """The choice in words."""
        chosen = [f"{name} {value}" for name, value in self.choice]
        return ", ".join([*chosen, f"seed {self.seed}"])


def choice_of(names: Iterable[str], values: Iterable[Any]) -> tuple[tuple[str, Any], ...]:
    """Returns a place in the grid, by which runs are kept in a dictionary.

    A list stands there as a tuple, and other values that are no keys of dictionaries as text.

    Example:
        >>> choice_of(["widths"], [[8, 4]])
        (('widths', (8, 4)),)
    """
    return tuple((name, _hashable(value)) for name, value in zip(names, values, strict=True))


def _hashable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def check_different(members: Sequence[Member]) -> None:
    """Checks that no training counts twice, as if it were two independent ones.

    Raises:
        ValueError: If two members have the same settings.
    """
    places = [(member.choice, member.seed) for member in members]
    if len({*places}) < len(places) or len({m.key for m in members}) < len(members):
        raise ValueError("Two members of the study have the same settings: a value is twice.")


def result_path(folder: str | os.PathLike[str], key: str) -> Path:
    """Where a member's run is."""
    return Path(folder) / f"{key}.nc"


def failure_path(folder: str | os.PathLike[str], key: str) -> Path:
    """Where a member's error is."""
    return Path(folder) / f"{key}.error.json"


def lock_path(folder: str | os.PathLike[str], key: str) -> Path:
    """Where it says that a member is being run; it stays if its process was killed."""
    return Path(folder) / f"{key}.lock"


def is_over(folder: str | os.PathLike[str], key: str) -> bool:
    """Tells whether a member is done, or has failed."""
    return result_path(folder, key).exists() or failure_path(folder, key).exists()


def run_member(member: Member, folder: str, attempt: str, backend: str) -> None:
    """Runs one member in this process, unless it is over, or another process is at it.

    Args:
        member: The member.
        folder: For its result, or its error.
        attempt: Which call of `running.complete` asks for it; a member has two deaths in each.
        backend: The backend that Keras has to be on.
    """
    with _locked(lock_path(folder, member.key)) as lock:
        if lock is None or is_over(folder, member.key):
            return
        deaths = deaths_noted(lock, attempt)
        if deaths >= DEATHS:  # a cluster sends again what it has lost
            note_deaths(member, folder, deaths)
            return
        # Should this process be killed, the note is what remains.
        lock.write_text(json.dumps({"attempt": attempt, "deaths": deaths + 1}))
        _make(member, folder, backend)


def _make(member: Member, folder: str, backend: str) -> None:
    import keras

    # Each member is a model of its own, which TensorFlow takes for one that it compiles too often.
    logging.getLogger("tensorflow").addFilter(_not_of_retracing)
    try:
        if keras.backend.backend() != backend:
            raise RuntimeError(
                f"This process runs Keras on {keras.backend.backend()}, and the study is run on "
                f"{backend}: start workers without Keras loaded, or with that backend."
            )
        began = time.process_time()
        run = member.make()
        run.attrs["seconds"] = time.process_time() - began
        save_run(run, result_path(folder, member.key))
    except Exception as error:
        _note_failure(member, folder, f"{type(error).__name__}: {error}", traceback.format_exc())


def note_deaths(member: Member, folder: str, deaths: int) -> None:
    """Writes that a member failed by killing its processes."""
    _note_failure(member, folder, f"Its process was killed {deaths} times.")


def _note_failure(member: Member, folder: str, error: str, trace: str = "") -> None:
    told = {"error": error, "traceback": trace, "member": str(member)}
    write_atomically(failure_path(folder, member.key), json.dumps(told, indent=1).encode())


def deaths_noted(lock: Path, attempt: str) -> int:
    """Returns how many processes died over a member in an attempt, by the note in its lock."""
    try:
        told = json.loads(lock.read_text())
    except (OSError, ValueError):  # none, or a process died while it wrote
        return 0
    return told["deaths"] if told["attempt"] == attempt else 0


@contextmanager
def _locked(path: Path) -> Iterator[Path | None]:
    """Holds a lock that ends with the process, and removes it; `None` if another one holds it.

    Where the file system knows no locks, everyone gets it: work may be done twice, and results
    are still whole.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield path
        return
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        except OSError:
            pass
        # Whoever held it before may have removed the file meanwhile.
        if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            yield None
            return
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def _not_of_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)
