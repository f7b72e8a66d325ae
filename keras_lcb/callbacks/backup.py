"""Records on disk, which survive the process: one file a record, each written atomically."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_lcb.runs.atomic import write_atomically

_SETTINGS = "settings.json"


class Backup:
    """A folder that keeps a callback's records.

    Args:
        folder: Where to keep them. It is created if it does not exist.
        owner: Name of the callback, so that several callbacks can share a folder.
    """

    def __init__(self, folder: str | os.PathLike[str], owner: str) -> None:
        self.folder = pathlib.Path(folder) / owner
        self.writes = True  # False in all processes of a distributed training except one

    def settle(self, run: dict[str, Any], count: dict[str, int]) -> None:
        """Writes which run the records belong to, and how its updates are counted.

        Args:
            run: What identifies the run, as values for JSON.
            count: The state of its `UpdateCount`.

        Raises:
            OSError: If the folder cannot be written.
        """
        if not self.writes:
            return
        content = json.dumps({"run": run, "count": count}).encode()
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / _SETTINGS, content)

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
        """Writes one record.

        Raises:
            OSError: If the record cannot be written. Earlier records stay intact.
        """
        if not self.writes:
            return
        arrays = {
            name: keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
            for name, value in record.items()
        }
        content = io.BytesIO()
        np.savez(content, **arrays)
        with self._writing():
            write_atomically(self.folder / f"{step:012d}.npz", content.getbuffer())

    def records(self, until: int) -> list[dict[str, Any]]:
        """Returns the records up to update `until`, oldest first.

        Raises:
            ValueError: If a file is damaged.
        """
        return [_load(path) for path in self._files() if int(path.stem) <= until]

    def discard_after(self, step: int) -> None:
        """Deletes the records after update `step`."""
        if not self.writes:
            return
        for path in self._files():
            if int(path.stem) > step:
                path.unlink()

    def clear(self) -> None:
        """Deletes all records."""
        if not self.writes:
            return
        (self.folder / _SETTINGS).unlink(missing_ok=True)
        self.discard_after(-1)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = str(error).rstrip(".")
            raise OSError(
                f"Writing to the backup folder '{self.folder}' failed: {reason}. Make room there, "
                "or choose another `backup` folder. The records so far are still in `results`."
            ) from error

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
