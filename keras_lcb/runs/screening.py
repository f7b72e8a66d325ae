"""Look through an HDF5 file before anything in it is believed.

A netCDF file may point to other files, or declare far more data than it holds; readers follow
both without a word. A run needs neither: it is one flat, uncompressed group of plain arrays. Links
and external storage are looked at through HDF5's own metadata, without following them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import h5py
import numpy as np

# netCDF keeps one entry a dimension in an attribute, and HDF5 has at most 32 dimensions.
_ENTRIES_OF_AN_ATTRIBUTE = 32


def objection(file: h5py.File, max_bytes: int) -> str | None:
    """Return why a file must not be loaded, or `None` if nothing speaks against it.

    Args:
        file: The open file.
        max_bytes: The most memory that its content may declare to need.

    Returns:
        The reason, as the end of a sentence that begins with the file's name.
    """
    needed = 0
    for reason, size in _findings(file):
        needed += size
        if reason is not None:
            return reason
        if needed > max_bytes:
            return f"declares more than {max_bytes:,} bytes of data, the most that is loaded"
    return None


def _findings(file: h5py.File) -> Iterator[tuple[str | None, int]]:
    """Yield an objection, if any, and the bytes needed, piece by piece."""
    yield from _attributes(file, "the file")
    for name in file:
        link = file.id.links.get_info(name.encode())
        if link.type != h5py.h5l.TYPE_HARD:
            yield f"holds '{name}', a link that may lead to other files", 0
            return
        member = file[name]
        if not isinstance(member, h5py.Dataset):
            yield f"holds '{name}', a {type(member).__name__.lower()}, where a run has arrays", 0
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
        yield f"holds '{name}' as {array.dtype}, where a run has numbers or text", 0
        return
    # Decoding turns small numbers into float64; a chunk is read whole, however little is kept.
    chunk = math.prod(array.chunks or (0,))
    yield None, max(count, chunk) * max(array.dtype.itemsize, 8)
    if array.id.get_create_plist().get_nfilters():
        yield f"holds '{name}' compressed, and a run is stored as it is", 0
        return
    if is_text:
        yield from ((None, size) for size in _text_sizes(array))


def _text_sizes(array: h5py.Dataset) -> Iterator[int]:
    """Yield how much a text array grows with each entry; all take the room of the longest."""
    longest = 0
    for number, index in enumerate(np.ndindex(array.shape), start=1):
        length = 4 * len(array[index])
        yield number * max(longest, length) - (number - 1) * longest
        longest = max(longest, length)


def _attributes(owner: h5py.HLObject, what: str) -> Iterator[tuple[str | None, int]]:
    for name in owner.attrs:
        attribute = owner.attrs.get_id(name)
        count = math.prod(attribute.shape or (1,))
        if name == "REFERENCE_LIST":  # which arrays use a dimension: one entry each
            yield None, count * attribute.dtype.itemsize
        elif count > _ENTRIES_OF_AN_ATTRIBUTE and attribute.dtype.kind == "O":
            yield f"has {count} texts in the attribute '{name}' of {what}", 0
        elif h5py.check_string_dtype(attribute.dtype) is not None:
            yield None, 4 * sum(len(text) for text in np.ravel(owner.attrs[name]))
        else:
            yield None, count * attribute.dtype.itemsize
