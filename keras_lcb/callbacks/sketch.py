"""Count-sketches: vectors reduced to a few numbers that still tell distances.

Source: Charikar, Chen & Farach-Colton (2002), "Finding frequent items in data streams".
"""

from __future__ import annotations

import math

import numpy as np

_CHUNK = 1 << 16


class CountSketch:
    """A seeded linear map to `buckets` numbers that preserves Euclidean distances on average.

    Each coordinate is added to a random bucket, with a random sign. For a difference d of two
    vectors, E‖S d‖² = ‖d‖² and Var‖S d‖² ≤ 2‖d‖⁴/m, so the relative standard error of a distance
    is at most about 1/√(2m) for m buckets. A vector of length m or less is kept as it is.

    Args:
        size: Length of the vectors.
        buckets: Length m of the sketch.
        seed: Seed, an integer or a sequence of integers.

    Example:
    >>> sketch = CountSketch(100_000, buckets=1024, seed=0)
    >>> a = np.ones(100_000, "float32")
    >>> bool(abs(np.linalg.norm(sketch(a)) / np.linalg.norm(a) - 1) < 3 * sketch.relative_error)
    True
    """

    def __init__(self, size: int, buckets: int, seed: int | list[int]) -> None:
        self.size = size
        self.buckets = buckets
        self.seed = seed

    @property
    def relative_error(self) -> float:
        """Relative standard error of a distance; 0 where vectors are kept whole."""
        return 0.0 if self.size <= self.buckets else 1 / math.sqrt(2 * self.buckets)

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Sketches a vector of length `size`."""
        if self.size <= self.buckets:
            return vector
        # The places are drawn again in each call. Storing them would take half as much memory as
        # the vector itself.
        generator = np.random.default_rng(self.seed)
        sums = np.zeros(2 * self.buckets)  # each place stands for a bucket and a sign
        for start in range(0, self.size, _CHUNK):
            part = vector[start : start + _CHUNK]
            places = generator.integers(0, 2 * self.buckets, size=len(part))
            sums += np.bincount(places, weights=part, minlength=2 * self.buckets)
        return (sums[0::2] - sums[1::2]).astype(np.float32)
