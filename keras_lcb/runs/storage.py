"""Runs on disk, as netCDF files: written atomically, and checked before they are read."""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.runs import schema
from keras_lcb.runs.atomic import write_atomically
from keras_lcb.runs.received import check_run
from keras_lcb.runs.seal import has_seal, is_intact, sealed

if TYPE_CHECKING:
    import xarray as xr

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The attribute that says which programs wrote a netCDF file also says that it has a checksum, so
# that it is noticed if the end of the file is lost.
_PROVENANCE, _SEALED = "_NCProperties", b"keras_lcb=sealed"


def save_run(run: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Saves a run as a netCDF file that `xarray.open_dataset` can read.

    A process that is killed while it saves leaves the old file or the new one, never a damaged
    one. A run may be saved to the file from which it was loaded.

    Args:
        run: A run, as callbacks and `collect` return it.
        path: The file to write, usually `….nc`. Its folder must exist.

    Raises:
        ValueError: If `run` is not a run, or holds something that netCDF cannot store.
        OSError: If the file cannot be written. An existing file stays unchanged.

    Example:
        >>> import tempfile
        >>> from keras_lcb.runs import schema
        >>> run = schema.dataset(
        ...     {"distance": (("step", "layer"), [[2.0], [0.0]])},
        ...     {"step": [0, 10], "layer": ["dense"]},
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_run(run, f"{folder}/run.nc")
        ...     load_run(f"{folder}/run.nc").identical(run)
        True
    """
    check_run(run)
    if not schema.is_run(run):
        raise ValueError(
            "`save_run` expects a run, but received a dataset of something else. Pass a callback's "
            "`results`, or what `collect` returned."
        )
    numbers = [str(name) for name in run.variables if run[name].dtype.kind == "c"]
    if numbers:
        raise ValueError(
            f"The run holds complex numbers in {', '.join(numbers)}, which a netCDF file cannot "
            "store. Store their real and imaginary parts."
        )
    try:
        # Written to memory first, since HDF5 cannot even close a file when the disk is full.
        with _own_lock():
            content = _with_note(run.drop_encoding().to_netcdf(engine="h5netcdf"))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the libraries behind raise many kinds of errors
        raise ValueError(
            f"The run holds something that a netCDF file cannot store: {error}"
        ) from error
    write_atomically(path, sealed(content))


def _own_lock() -> AbstractContextManager[Any]:
    """Keeps xarray, within a worker of Dask, from asking the cluster for a lock.

    Others cannot be at a file that is in memory, and the cluster's locks do not outlive its client.
    """
    dask = sys.modules.get("dask")
    return nullcontext() if dask is None else dask.config.set(scheduler="threads")


def load_run(path: str | os.PathLike[str], *, max_bytes: int = 2 * 2**30) -> xr.Dataset:
    """Loads a run into memory, and closes its file.

    Files from unknown sources are safe to load: a file that links to other files, keeps data
    outside of itself, or declares more data than `max_bytes` is refused before it is read. A file
    without the checksum of `save_run` is read in another process, which takes a second: HDF5 may
    crash on a damaged file.

    Args:
        path: A file that `save_run` wrote.
        max_bytes: The most memory that the run may need, in bytes. Defaults to 2 GiB.

    Returns:
        The run, equal in every value and attribute to the one that was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not hold a run, is damaged, or is refused as unsafe.

    Example:
        >>> import tempfile
        >>> from keras_lcb.runs import example_run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_run(example_run(), f"{folder}/run.nc")
        ...     load_run(f"{folder}/run.nc").sizes["layer"]
        4
    """
    import h5py
    import xarray as xr

    from keras_lcb.runs.screening import objection
    from keras_lcb.runs.trial import is_cut_short, written_anew

    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"`load_run` expects the path of a file; received an object of the type "
            f"{type(path).__name__}."
        )
    content, reason = _read(path, max_bytes), None
    try:
        if is_cut_short(content):
            raise ValueError("its end is missing")
        if not has_seal(content):
            content, reason = written_anew(content, max_bytes)
        if reason is None:
            with h5py.File(io.BytesIO(content), "r") as file:
                reason = objection(file, max_bytes)
        if reason is None:
            with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as lazy:
                run = lazy.load().drop_encoding()
    except Exception as error:  # HDF5 raises many kinds of errors for damaged files
        raise ValueError(f"'{os.fspath(path)}' is damaged or cut short: {error}.") from error
    if reason is not None:
        raise ValueError(
            f"'{os.fspath(path)}' {reason}. If you trust it, open it with xarray.open_dataset."
        )
    return _recognised(run, path)


def _with_note(content: bytes | memoryview) -> bytes:
    """Returns a netCDF file's content, with the note in it that it has a checksum."""
    import h5py

    noted = io.BytesIO(content)
    with h5py.File(noted, "r+") as file:
        text = b"%b,%b" % (file.attrs[_PROVENANCE], _SEALED)
        kind = h5py.string_dtype("ascii", len(text))
        file.attrs.create(_PROVENANCE, np.bytes_(text), dtype=kind)
    return noted.getvalue()


def _read(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    name = os.fspath(path)
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file '{name}'.") from error
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"'{name}' is not a file that holds a run.")
    if status.st_size > max_bytes:
        raise ValueError(
            f"'{name}' has {status.st_size:,} bytes, more than `max_bytes`, {max_bytes:,}. If you "
            "trust the file, pass a larger `max_bytes`."
        )
    with open(path, "rb") as file:
        content = file.read()
    if not content.startswith(_HDF5_SIGNATURE):
        raise ValueError(
            f"'{name}' is not a netCDF-4 file. Pass a file that `save_run` has written."
        )
    if (has_seal(content) or _SEALED in content) and not is_intact(content):
        raise ValueError(f"'{name}' is damaged: its content has changed since `save_run` wrote it.")
    return content


def _recognised(run: xr.Dataset, path: str | os.PathLike[str]) -> xr.Dataset:
    name = os.fspath(path)
    if not schema.is_run(run):
        raise ValueError(f"'{name}' is a netCDF file, but it does not hold a run.")
    run.attrs = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in run.attrs.items()
    }
    version = run.attrs.get("schema_version", schema.SCHEMA_VERSION)
    if np.ndim(version) or version != schema.SCHEMA_VERSION:
        raise ValueError(
            f"'{name}' was written with version {version} of the run's schema; this keras_lcb "
            f"reads version {schema.SCHEMA_VERSION}. Install the release that wrote it."
        )
    return run
