"""Replaces a file atomically: a reader finds the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import glob
import os
import time
import uuid
from pathlib import Path

# A temporary file that is older than this was left behind by a process that was killed.
_LEFT_BEHIND_AFTER_SECONDS = 3600.0


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Writes `content` to `path`. If writing fails, the old file stays as it was.

    The content is first written to a temporary file in the same folder, which then replaces `path`
    in one step (`os.replace`). A process that is killed before that step leaves the old file, and
    possibly a temporary file (`.NAME.….tmp`), which a later call removes.

    Args:
        path: The file to write. Its folder must exist.
        content: The whole content of the file.

    Raises:
        OSError: If the folder is missing or not writable, or the disk is full. The temporary file
            is removed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/note.txt", b"new")
        ...     Path(folder, "note.txt").read_text()
        'new'
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays; its target is replaced
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        # By now the new file is complete and in place. Some network drives cannot sync a folder.
        with contextlib.suppress(OSError):
            _sync_folder(target.parent)
    except OSError as error:
        raise _in_words(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # a folder that has become read-only
            temporary.unlink(missing_ok=True)
    remove_leftovers(target.parent, f".{glob.escape(target.name)}.*.tmp")


def remove_leftovers(
    folder: Path, pattern: str = ".*.tmp", older_than: float = _LEFT_BEHIND_AFTER_SECONDS
) -> None:
    """Removes temporary files that killed processes have left behind, as far as that is possible.

    Args:
        folder: Where to look.
        pattern: Which names to look for. Defaults to those of all temporary files.
        older_than: How long a file must not have changed, in seconds. Pass 0 only for a folder in
            which no other process writes. Defaults to an hour.
    """
    now = time.time()
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # another process may have removed it meanwhile
            if now - path.stat().st_mtime >= older_than:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open folders, and does not need this
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _in_words(error: OSError, path: str | os.PathLike[str]) -> OSError:
    if isinstance(error, FileNotFoundError):
        reason = "its folder does not exist"
    else:
        reason = (error.strerror or str(error)).lower()
    then = "An existing file is unchanged."
    if isinstance(error, IsADirectoryError):
        then = "Give the name of a file."
    sentence = f"'{os.fspath(path)}' could not be written: {reason}. {then}"
    worded = type(error)(sentence)
    worded.errno = error.errno
    return worded
