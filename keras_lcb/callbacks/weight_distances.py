"""Norms of weight vectors, and distances and angles between them.

They are computed on the host, in double precision and in little memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

_CHUNK = 1 << 15  # float64 copies of two chunks stay in the processor's cache


def norms(vector: np.ndarray, within: Sequence[slice] = ()) -> tuple[float, float]:
    """Returns the norm of a vector, and the norm of only those entries that lie in the slices."""
    inside = [_squared(vector[part]) for part in within]
    outside = [_squared(vector[part]) for part in _outside(len(vector), within)]
    return math.sqrt(sum([*inside, *outside])), math.sqrt(sum(inside))


@np.errstate(invalid="ignore")  # inf - inf
def distances(
    one: np.ndarray, other: np.ndarray, within: Sequence[slice] = ()
) -> tuple[float, float]:
    """Returns the distance of two vectors, and that of only the entries that lie in the slices."""
    inside = [_squared(a - b) for part in within for a, b in _doubles(one[part], other[part])]
    outside = [
        _squared(a - b)
        for part in _outside(len(one), within)
        for a, b in _doubles(one[part], other[part])
    ]
    return math.sqrt(sum([*inside, *outside])), math.sqrt(sum(inside))


def angle(one: float, other: float, apart: float) -> float:
    """Returns 1 − cos between two vectors; NaN where one of them has no direction.

    It is computed as (‖a − b‖² − (‖a‖ − ‖b‖)²) / (2‖a‖‖b‖), which is precise for small angles, too.

    Args:
        one: Norm of one vector.
        other: Norm of the other.
        apart: Their distance.

    Source: Carbonnelle & De Vleeschouwer (2019), "Layer rotation".
    """
    if not (0 < one < math.inf and 0 < other < math.inf):
        return math.nan
    return max(0.0, apart**2 - (one - other) ** 2) / (2 * one * other)


def _outside(length: int, within: Sequence[slice]) -> list[slice]:
    """Returns the slices between the given ones, which are in order."""
    starts = [0, *(part.stop for part in within)]
    stops = [*(part.start for part in within), length]
    return [slice(a, b) for a, b in zip(starts, stops, strict=True) if a < b]


def _squared(vector: np.ndarray) -> float:
    # Not `dot`: above 10,000 elements, it starts threads, which compete with training for cores.
    return float(np.einsum("i,i->", vector, vector, dtype=np.float64))


def _doubles(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for first in range(0, len(one), _CHUNK):
        part = slice(first, first + _CHUNK)
        yield one[part].astype(np.float64), other[part].astype(np.float64)
