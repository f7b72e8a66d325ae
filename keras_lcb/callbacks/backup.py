"""Records on disk, which survive the process: one file a record, each written atomically."""

from __future__ import annotations

import collections
import functools
import io
import itertools
import json
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_lcb.runs.atomic import remove_leftovers, write_atomically

_SETTINGS = "settings.json"


class Backup:
    """A folder that keeps a callback's records.

    Where the disk is full or the folder read-only, one warning says so, and what could not be
    written is tried again, in the same order, with the next record.

    Args:
        folder: Where to keep them. It is created if it does not exist.
        owner: Name of the callback, so that several callbacks can share a folder.
    """

    def __init__(self, folder: str | os.PathLike[str], owner: str) -> None:
        self.folder = pathlib.Path(folder) / owner
        self.writes = True  # False in all processes of a distributed training except one
        self._to_do: collections.deque[Callable[[], None]] = collections.deque()
        self._warned = False

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state of a copy, which leaves it to the original to write its records."""
        return self.__dict__ | {"_to_do": collections.deque(), "_warned": False}

    def settle(self, run: dict[str, Any], count: dict[str, int]) -> None:
        """Writes which run the records belong to, and how its updates are counted.

        Args:
            run: What identifies the run, as values for JSON.
            count: The state of its `UpdateCount`.

        Raises:
            OSError: If there is a file in place of the folder.
        """
        content = json.dumps({"run": run, "count": count}).encode()
        self._do(functools.partial(self._settle, content))

    def count(self, run: dict[str, Any]) -> dict[str, int] | None:
        """Returns how the stored run counts its updates, or `None` if nothing is stored.

        Raises:
            ValueError: If the folder holds another run, or a file is damaged.
        """
        path = self.folder / _SETTINGS
        if not path.exists():
            return None
        try:
            kept = json.loads(path.read_text())
            theirs, count = kept["run"], kept["count"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"The backup '{path}' is damaged ({error}). Delete the folder to start anew."
            ) from error
        if theirs != json.loads(json.dumps(run)):
            raise ValueError(
                f"The backup folder '{self.folder}' holds the records of another run, with other "
                "layers or settings. Choose another `backup` folder, or delete that one."
            )
        return count

    def append(self, step: int, record: dict[str, Any]) -> None:
        """Writes one record."""
        self._do(functools.partial(self._append, step, record))

    def records(self, until: int) -> list[dict[str, Any]]:
        """Returns the records up to update `until`, oldest first.

        Raises:
            ValueError: If a file is damaged.
        """
        return [_load(path) for path in self._files() if int(path.stem) <= until]

    def discard_after(self, step: int) -> None:
        """Deletes the records after update `step`."""
        self._do(functools.partial(self._discard_after, step))

    def clear(self) -> None:
        """Deletes all records."""
        self._do(self._clear)

    def move_aside(self) -> pathlib.Path:
        """Gives the folder of the records another name, which is returned."""
        names = (self.folder.with_name(f"{self.folder.name}_{n}") for n in itertools.count(1))
        aside = next(path for path in names if not path.exists())
        self._do(functools.partial(self._move, aside))
        return aside

    def _do(self, action: Callable[[], None]) -> None:
        """Does what could not be done so far, and then `action`, or keeps them for later."""
        if not self.writes:
            return
        self._to_do.append(action)
        try:
            while self._to_do:
                self._to_do[0]()
                self._to_do.popleft()
        except (FileExistsError, NotADirectoryError) as error:
            self._to_do.clear()
            raise type(error)(
                f"The backup folder '{self.folder}' cannot be made: a file is in its place. Choose "
                "another `backup` folder."
            ) from error
        except OSError as error:
            self._warn(error)
        else:
            self._warned = False

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            warnings.warn(
                f"Writing to the backup folder '{self.folder}' failed ({reason}), so training goes "
                "on with the records in memory only, and writing is tried again with each record.",
                stacklevel=2,
            )
        self._warned = True

    def _settle(self, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder, older_than=0)
        write_atomically(self.folder / _SETTINGS, content)

    def _append(self, step: int, record: dict[str, Any]) -> None:
        arrays = {
            name: keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
            for name, value in record.items()
        }
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_atomically(self.folder / f"{step:012d}.npz", content.getbuffer())

    def _discard_after(self, step: int) -> None:
        for path in self._files():
            if int(path.stem) > step:
                path.unlink()

    def _move(self, aside: pathlib.Path) -> None:
        self.folder.rename(aside)

    def _clear(self) -> None:
        (self.folder / _SETTINGS).unlink(missing_ok=True)
        self._discard_after(-1)

    def _files(self) -> list[pathlib.Path]:
        return sorted(self.folder.glob("[0-9]*.npz"))


def _load(path: pathlib.Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: array if array.ndim else array.item() for name, array in file.items()}
    except Exception as error:  # NumPy, zipfile and zlib each raise their own
        ways = "the folder to start anew"
        if int(path.stem) > 0:
            ways = f"that file to go on without its record, or {ways}"
        raise ValueError(f"The backup '{path}' is damaged ({error}). Delete {ways}.") from error
