"""A record on disk that survives the process: one file a record, each written in one move."""

from __future__ import annotations

import json
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

_SETTINGS = "settings.json"


class Backup:
    """A folder that keeps a callback's records.

    Args:
        folder: Where to keep them; made if it is not there.
        owner: Name of the callback, so that several share a folder.
    """

    def __init__(self, folder: str | os.PathLike[str], owner: str) -> None:
        self.folder = pathlib.Path(folder) / owner

    def settings(self) -> dict[str, Any] | None:
        """What `start` was given, or `None` where there is no backup yet."""
        path = self.folder / _SETTINGS
        return json.loads(path.read_text()) if path.exists() else None

    def start(self, settings: dict[str, Any]) -> None:
        """Begins a new record, discarding what was kept before.

        Raises:
            OSError: If the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.discard_after(-1)
            self._write(_SETTINGS, json.dumps(settings).encode())
        except OSError as error:
            raise OSError(
                f"The backup folder '{self.folder}' cannot be written: {error.strerror or error}. "
                "Choose another `backup`, or make room there."
            ) from error

    def append(self, step: int, arrays: dict[str, Any]) -> None:
        """Keeps one record."""
        self._write(f"{step:012d}.npz", arrays)

    def records(self) -> list[dict[str, np.ndarray]]:
        """All kept records, oldest first.

        Raises:
            ValueError: If a file is damaged.
        """
        records = []
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as file:
                    records.append(dict(file))
            except (ValueError, OSError, zipfile.BadZipFile) as error:
                raise ValueError(
                    f"The backup '{path}' is damaged ({error}). Delete that file to go on "
                    "without its record, or the folder to start anew."
                ) from error
        return records

    def discard_after(self, step: int) -> None:
        """Deletes the records of updates after `step`."""
        for path in self.folder.glob("*.npz"):
            if int(path.stem) > step:
                path.unlink()

    def _write(self, name: str, content: bytes | dict[str, Any]) -> None:
        target = self.folder / name
        temporary = target.with_name(f".{name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    np.savez(file, **content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
