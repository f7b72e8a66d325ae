"""Norms, distances and angles of long vectors, in double precision and little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

# Two float64 chunks stay in the processor's cache. Above 10,000 elements OpenBLAS hands an inner
# product to several threads, which on a busy machine takes 50 times as long.
_CHUNK = 1 << 13


def norm(vector: np.ndarray) -> float:
    """Euclidean norm."""
    return math.sqrt(sum(float(part @ part) for part in _doubles(vector)))


@np.errstate(invalid="ignore")  # inf - inf
def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Euclidean distance."""
    gaps = (a - b for a, b in zip(_doubles(one), _doubles(other), strict=True))
    return math.sqrt(sum(float(gap @ gap) for gap in gaps))


def angle(now: np.ndarray, start: np.ndarray, within: Sequence[slice]) -> float:
    """1 − cos between two vectors, read within some slices; NaN where there is no direction.

    For unit vectors u and v, 1 − u·v = ‖u − v‖²/2, which is exact for small angles, too.

    Source: Carbonnelle & De Vleeschouwer (2019), "Layer rotation".
    """
    lengths = [math.hypot(*(norm(vector[part]) for part in within)) for vector in (now, start)]
    if not all(0 < length < math.inf for length in lengths):
        return math.nan
    total = 0.0
    for part in within:
        for a, b in zip(_doubles(now[part]), _doubles(start[part]), strict=True):
            gap = a / lengths[0] - b / lengths[1]
            total += float(gap @ gap)
    return total / 2


def _doubles(vector: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(vector), _CHUNK):
        yield vector[first : first + _CHUNK].astype(np.float64)
