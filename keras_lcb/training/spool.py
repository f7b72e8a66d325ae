"""Tables that grow for as long as a training runs, and do not fill the memory."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

IN_MEMORY = 4 * 2**20  # bytes of new rows that are collected before they are written

# One thread may read a table while another adds to it. The lock belongs to the module, not to the
# table, because an object that holds a lock cannot be copied.
_LOCK = threading.RLock()


def _nothing() -> None:
    """Stands for a file that is not mapped."""


class Spool:
    """A table that grows by rows. A large one is kept in a temporary file.

    The file has no name and vanishes with the process. If it cannot be written, a warning says so,
    and all further rows stay in memory.

    Args:
        width: How many numbers a row has.
        dtype: The type of the numbers. Defaults to "float64".
    """

    def __init__(self, width: int, dtype: Any = "float64") -> None:
        self._width = width
        self._dtype = np.dtype(dtype)
        self._most_new: float = IN_MEMORY
        self._new: list[np.ndarray] = []  # rows that are not in the file
        self._count = self._written = 0
        self._file: Any = None
        # The array with all rows, as long as a reader keeps it.
        self._whole: Callable[[], np.ndarray | None] = _nothing

    def __len__(self) -> int:
        return self._count

    def append(self, rows: np.ndarray) -> Spooled:
        """Adds rows, an array (rows, width), and returns where they are."""
        with _LOCK:
            start = self._count
            self._new.append(np.asarray(rows, self._dtype))
            self._count += len(rows)
            if (self._count - self._written) * self._row_bytes > self._most_new:
                self._write()
        return Spooled(self, np.s_[start : self._count])

    def since(self, start: int) -> Spooled:
        """Returns all rows from one on."""
        return Spooled(self, np.s_[start : self._count])

    def table(self) -> np.ndarray:
        """Returns all rows. If there is a file, its pages are loaded only when they are read."""
        with _LOCK:
            if self._file is not None and self._new and math.isfinite(self._most_new):
                self._write()
            # Readers keep parts of this array. If each got an array of its own, many readers
            # would fill the memory.
            if self._file is None:
                return self._newest()
            whole = self._whole()
            if whole is None or len(whole) != self._count:
                shape = self._written, self._width
                whole = np.memmap(self._file, self._dtype, "r", shape=shape).view(np.ndarray)
                if self._new:  # for which the file has no room
                    whole = np.concatenate([whole, self._newest()])
                self._whole = weakref.ref(whole)
            return whole

    @property
    def _row_bytes(self) -> int:
        return self._width * self._dtype.itemsize

    def _newest(self) -> np.ndarray:
        """Returns the rows in memory, which are joined once."""
        if len(self._new) != 1:
            empty = np.zeros((0, self._width), self._dtype)
            self._new = [np.concatenate([empty, *self._new])]
        return self._new[0]

    def _write(self) -> None:
        """Moves the new rows to the file."""
        content = self._newest()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="keras_lcb_")
            self._file.seek(self._written * self._row_bytes)
            self._file.write(content.data)
            self._file.flush()
        except OSError as error:
            self._most_new = math.inf
            if not self._written:
                self._file = None
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            warnings.warn(
                f"Writing to a temporary file in '{tempfile.gettempdir()}' failed ({reason}), so "
                "the records stay in memory. Set TMPDIR to a folder with more space to avoid this.",
                stacklevel=2,
            )
        else:
            self._written, self._new, self._whole = self._count, [], _nothing


@dataclasses.dataclass(frozen=True, slots=True)  # without a dictionary; there are many
class Spooled:
    """A part of a spool's table, which is read when it is used as an array.

    Attributes:
        spool: The spool.
        index: Which part of the table it is: a slice of rows, or a row and a slice of columns.
    """

    spool: Spool
    index: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        part = self.spool.table()[self.index]
        return part if dtype is None else part.astype(dtype, copy=bool(copy))

    def __len__(self) -> int:
        rows_or_columns = self.index[-1] if isinstance(self.index, tuple) else self.index
        return rows_or_columns.stop - rows_or_columns.start

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self)[index]


def joined(parts: Sequence[Any]) -> np.ndarray:
    """Returns arrays or parts of spools as one array.

    Nothing is loaded if the parts are stretches of rows that follow each other in one spool.
    """
    first, last = parts[0], parts[-1]
    if all(isinstance(part, Spooled) and part.spool is first.spool for part in parts):
        edges = [(part.index.start, part.index.stop) for part in parts]
        if all(one[1] == other[0] for one, other in zip(edges, edges[1:], strict=False)):
            return first.spool.table()[first.index.start : last.index.stop]
    return np.concatenate([np.asarray(part) for part in parts])
