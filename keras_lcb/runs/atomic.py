"""Replace a file in one move, so that a reader finds the old content or the new, never a part."""

from __future__ import annotations

import glob
import os
import time
import uuid
from pathlib import Path

# A file that is being written changes all the time; one that has not for so long was left behind.
_LEFT_BEHIND_AFTER_SECONDS = 3600.0


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write `content` to `path`; if anything goes wrong, what stood there stays as it was.

    The content goes to a temporary file in the same folder, reaches the disk, and then takes the
    place of `path` in one step (`os.replace`). A process that is killed before that step leaves
    the old file, and at most its temporary file (`.NAME.….tmp`) beside it, which a later call
    removes.

    Args:
        path: The file to write. Its folder must exist.
        content: All of the file.

    Raises:
        OSError: If the folder is missing or not writable, or the disk is full. The message names
            `path`; the temporary file is gone.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/note.txt", b"new")
        ...     Path(folder, "note.txt").read_text()
        'new'
    """
    target = Path(os.path.realpath(path))  # a link keeps pointing where it does
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
        _remove_leftovers(target)
    except OSError as error:
        raise _in_words(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders, and keeps the order of renames by itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    now = time.time()
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        if now - path.stat().st_mtime > _LEFT_BEHIND_AFTER_SECONDS:
            path.unlink(missing_ok=True)


def _in_words(error: OSError, path: str | os.PathLike[str]) -> OSError:
    if isinstance(error, FileNotFoundError):
        reason = "its folder does not exist"
    else:
        reason = (error.strerror or str(error)).lower()
    sentence = f"'{os.fspath(path)}' could not be written: {reason}. What stood there is unchanged."
    worded = type(error)(sentence)
    worded.errno = error.errno
    return worded
