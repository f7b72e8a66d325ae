"""Reads a file in another process, since HDF5 may crash on a damaged one.

`save_run` gives its files a checksum, so that damage is noticed before HDF5 sees it. Files that
other programs wrote have none.
"""

from __future__ import annotations

import json
import subprocess
import sys

from keras_lcb.runs import screening

_SECONDS = 60.0
_OBJECTION = 3  # exit status
# `screening` is run from its path, since importing it would import the package, and with it Keras.
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[3])
import io, runpy, h5py, xarray
content, max_bytes = sys.stdin.buffer.read(), int(sys.argv[2])
with h5py.File(io.BytesIO(content), "r") as file:
    reason = runpy.run_path(sys.argv[1])["objection"](file, max_bytes)
if reason is not None:
    sys.stdout.buffer.write(reason.encode())
    sys.exit(3)
with xarray.open_dataset(io.BytesIO(content), engine="h5netcdf") as lazy:
    clean = lazy.load().drop_encoding().to_netcdf(engine="h5netcdf")
sys.stdout.buffer.write(clean)
"""


def is_cut_short(content: bytes) -> bool:
    """Returns whether an HDF5 file is shorter than it declares in its superblock.

    Args:
        content: The content of the file, which begins with HDF5's signature.
    """
    version = content[8:9]
    at = {b"\0": 40, b"\1": 44}.get(version, 28)  # by the specification of the format
    return len(content) < max(int.from_bytes(content[at : at + 8], "little"), at + 8)


def written_anew(content: bytes, max_bytes: int) -> tuple[bytes, str | None]:
    """Reads a netCDF file in another process, and returns what that has read as a new file.

    So HDF5 sees nothing in this process that it has not written itself. The other one takes about a
    second, most of it for imports.

    Args:
        content: The content of the file.
        max_bytes: The most memory that the run may need, in bytes.

    Returns:
        The new content, and why the file must not be loaded, as `objection` says it; `None` if it
        may be.

    Raises:
        ValueError: If the file cannot be read.
    """
    arguments = [str(screening.__file__), str(max_bytes), json.dumps(sys.path)]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, *arguments],
            input=content,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"reading it takes longer than {_SECONDS:.0f} seconds") from None
    if done.returncode == _OBJECTION:
        return b"", done.stdout.decode()
    if done.returncode == 1:  # an error in words
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[-1] if lines else "it cannot be read")
    if done.returncode:
        raise ValueError("HDF5 crashes on it")
    return done.stdout, None
