"""Norms, distances and angles of long vectors, in double precision and little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

_CHUNK = 1 << 15  # float64 copies of two chunks stay in the processor's cache


def norm(vector: np.ndarray) -> float:
    """Euclidean norm."""
    return math.sqrt(_squared(vector))


@np.errstate(invalid="ignore")  # inf - inf
def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Euclidean distance."""
    return math.sqrt(sum(_squared(a - b) for a, b in _doubles(one, other)))


def angle(now: np.ndarray, start: np.ndarray, within: Sequence[slice]) -> float:
    """1 − cos between two vectors, read within some slices; NaN where there is no direction.

    For unit vectors u and v, 1 − u·v = ‖u − v‖²/2, which is exact for small angles, too.

    Source: Carbonnelle & De Vleeschouwer (2019), "Layer rotation".
    """
    lengths = [math.hypot(*(norm(vector[part]) for part in within)) for vector in (now, start)]
    if not all(0 < length < math.inf for length in lengths):
        return math.nan
    return 0.5 * sum(
        _squared(a / lengths[0] - b / lengths[1])
        for part in within
        for a, b in _doubles(now[part], start[part])
    )


def _squared(vector: np.ndarray) -> float:
    # Not `dot`: above 10,000 elements OpenBLAS wakes its threads, whose cores training holds busy.
    return float(np.einsum("i,i->", vector, vector, dtype=np.float64))


def _doubles(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for first in range(0, len(one), _CHUNK):
        part = slice(first, first + _CHUNK)
        yield one[part].astype(np.float64), other[part].astype(np.float64)
