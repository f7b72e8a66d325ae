"""Reads a file in another process first, since HDF5 may crash on a damaged one.

`save_run` gives its files a checksum, so that damage is noticed before HDF5 sees it. Files that
other programs wrote have none.
"""

from __future__ import annotations

import os
import subprocess
import sys

from keras_lcb.runs import screening

_SECONDS = 60.0
# `screening` is run from its path, since importing it would import the package, and with it Keras.
_PROGRAM = """
import io, runpy, sys, h5py, xarray
content, max_bytes = sys.stdin.buffer.read(), int(sys.argv[2])
with h5py.File(io.BytesIO(content), "r") as file:
    reason = runpy.run_path(sys.argv[1])["objection"](file, max_bytes)
if reason is None:
    with xarray.open_dataset(io.BytesIO(content), engine="h5netcdf") as lazy:
        lazy.load()
"""


def is_cut_short(content: bytes) -> bool:
    """Returns whether an HDF5 file is shorter than it declares in its superblock.

    Args:
        content: The content of the file, which begins with HDF5's signature.
    """
    version = content[8:9]
    at = {b"\0": 40, b"\1": 44}.get(version, 28)  # by the specification of the format
    return len(content) < max(int.from_bytes(content[at : at + 8], "little"), at + 8)


def crash(content: bytes, max_bytes: int) -> str | None:
    """Returns how a process ends that reads a netCDF file; `None` unless it crashes or hangs.

    An error in words does not count: whoever reads the file will get it as well. The process takes
    about a second, most of it for imports.

    Args:
        content: The content of the file.
        max_bytes: The most memory that the run may need, in bytes.
    """
    command = [sys.executable, "-I", "-c", _PROGRAM, str(screening.__file__), str(max_bytes)]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"reading it takes longer than {_SECONDS:.0f} seconds"
    except OSError:  # no other process can be started here
        return None
    crashed = done.returncode not in (0, 1) if os.name == "nt" else done.returncode < 0
    return "HDF5 crashes on it" if crashed else None
