"""A checksum at the end of an HDF5 file, where HDF5 ignores it.

HDF5 itself detects a file that was cut short, but not one whose bytes have changed, on which it
may even crash.
"""

from __future__ import annotations

import hashlib

_SEAL = b"keras_lcb sha256"
_LENGTH = len(_SEAL) + hashlib.sha256().digest_size


def sealed(content: bytes | memoryview) -> bytes:
    """Returns the content with its checksum behind it."""
    return b"".join([content, _SEAL, hashlib.sha256(content).digest()])


def has_seal(content: bytes) -> bool:
    """Returns whether a checksum stands at the end of a file's content."""
    return content[-_LENGTH : len(_SEAL) - _LENGTH] == _SEAL


def is_intact(content: bytes) -> bool:
    """Returns whether the checksum at the end of a file's content is there, and is right."""
    body = memoryview(content)[:-_LENGTH]
    return has_seal(content) and content[-_LENGTH + len(_SEAL) :] == hashlib.sha256(body).digest()
