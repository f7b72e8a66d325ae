"""Checks an HDF5 file from an unknown source before it is read.

A netCDF file may refer to other files, or declare far more data than it holds, and readers follow
such references and declarations without a warning. A run has neither: it is one flat group of
plain, uncompressed arrays. The checks read HDF5's metadata only, and do not follow links.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py
import numpy as np

# An attribute of netCDF holds one entry for each dimension, and HDF5 has at most 32 dimensions.
_ENTRIES_OF_AN_ATTRIBUTE = 32


def objection(file: h5py.File, max_bytes: int) -> str | None:
    """Returns why a file must not be loaded, or `None` if it may be.

    Args:
        file: The open file.
        max_bytes: The most memory that the file's content may need, in bytes.

    Returns:
        The reason, as the end of a sentence that begins with the file's name.
    """
    needed = 0
    for reason, size in _findings(file):
        needed += size
        if reason is not None:
            return reason
        if needed > max_bytes:
            return f"declares more data than `max_bytes`, {max_bytes:,} bytes"
    return None


def _findings(file: h5py.File) -> Iterator[tuple[str | None, int]]:
    """Yields, for each part of the file, an objection or `None`, and the bytes it needs."""
    yield from _attributes(file, "the file")
    for name in file:
        link = file.id.links.get_info(name.encode())
        if link.type != h5py.h5l.TYPE_HARD:
            yield f"holds the link '{name}', which may lead to other files", 0
            return
        member = file[name]
        if not isinstance(member, h5py.Dataset):
            yield (
                f"holds the {type(member).__name__.lower()} '{name}', but a run has arrays only",
                0,
            )
            return
        yield from _array(member, name)
        yield from _attributes(member, f"'{name}'")


def _array(array: h5py.Dataset, name: str) -> Iterator[tuple[str | None, int]]:
    if array.is_virtual or array.external:
        yield f"keeps the data of '{name}' in other files", 0
        return
    count = math.prod(array.shape or (0,))
    is_text = h5py.check_string_dtype(array.dtype) is not None
    if not is_text and array.dtype.kind not in "iufb":
        yield f"holds '{name}' as {array.dtype}, but a run has numbers or text only", 0
        return
    # Decoding may turn numbers into float64, and chunks are always read whole.
    chunk = math.prod(array.chunks or (0,))
    yield None, max(count, chunk) * max(array.dtype.itemsize, 8)
    if array.id.get_create_plist().get_nfilters():
        yield f"holds '{name}' in compressed form, but a run is not compressed", 0
        return
    if is_text:
        yield from ((None, size) for size in _text_sizes(array))


def _text_sizes(array: h5py.Dataset) -> Iterator[int]:
    """Yields how many bytes a text array grows with each entry.

    In NumPy, every entry takes as much memory as the longest one.
    """
    longest = 0
    for number, index in enumerate(np.ndindex(array.shape), start=1):
        length = 4 * len(array[index])
        yield number * max(longest, length) - (number - 1) * longest
        longest = max(longest, length)


def _attributes(owner: h5py.HLObject, what: str) -> Iterator[tuple[str | None, int]]:
    for name in owner.attrs:
        attribute = owner.attrs.get_id(name)
        count = math.prod(attribute.shape or (1,))
        if name == "REFERENCE_LIST":  # holds an entry for each array that uses a dimension
            yield None, count * attribute.dtype.itemsize
        elif count > _ENTRIES_OF_AN_ATTRIBUTE and attribute.dtype.kind == "O":
            yield f"has {count} texts in the attribute '{name}' of {what}", 0
        elif h5py.check_string_dtype(attribute.dtype) is not None:
            yield None, 4 * sum(len(text) for text in np.ravel(owner.attrs[name]))
        else:
            yield None, count * attribute.dtype.itemsize
