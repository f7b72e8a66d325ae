"""Count-sketches: vectors reduced to a few numbers that still tell distances.

Source: Charikar, Chen & Farach-Colton (2002), "Finding frequent items in data streams".
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops

_CHUNK = 1 << 15  # on the host: so many numbers stay in the processor's cache
_DEVICE_CHUNK = 1 << 22  # on the device: so many numbers need little memory
_SPREAD = 0x9E3779B1  # 2³² over the golden ratio, so that neighbours differ in many bits
# The finalizer of MurmurHash3 (A. Appleby, public domain): shifts followed by factors, and a shift.
_MIX, _LAST_SHIFT = ((16, 0x85EBCA6B), (13, 0xC2B2AE35)), 16


class CountSketch:
    """A seeded linear map to `buckets` numbers that preserves Euclidean distances on average.

    Each coordinate is added to a random bucket, with a random sign. For a difference d of two
    vectors, E‖S d‖² = ‖d‖² and Var‖S d‖² ≤ 2‖d‖⁴/m, so the relative standard error of a distance
    is at most about 1/√(2m) for m buckets. A vector of length m or less is kept as it is.

    Buckets and signs are computed from the coordinates' places whenever they are needed, because
    storing them would take as much memory as the vector itself. They are the same on the host and
    on every device.

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
        self._key = int(np.random.SeedSequence(seed).generate_state(1)[0])

    @property
    def relative_error(self) -> float:
        """Relative standard error of a distance; 0 where vectors are kept whole."""
        return 0.0 if self.size <= self.buckets else 1 / math.sqrt(2 * self.buckets)

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Sketches a vector of length `size`."""
        if self.size <= self.buckets:
            return vector
        sums = np.zeros(2 * self.buckets)  # each place stands for a bucket and a sign
        for start in range(0, self.size, _CHUNK):
            part = vector[start : start + _CHUNK]
            places = self._places(start, len(part))
            sums += np.bincount(places, weights=part, minlength=2 * self.buckets)
        return (sums[0::2] - sums[1::2]).astype(_kept_type(vector))

    def on_device(self, vector: Any) -> Any:
        """Sketches a tensor of shape `(size,)` where it is, and returns a tensor.

        A tensor in double precision is copied to the host.
        """
        if self.size <= self.buckets:
            return vector
        if _kept_type(vector) == "float64":  # not all backends add segments up in this precision
            return keras.ops.convert_to_tensor(self(ops.on_host(vector)))
        sums = keras.ops.zeros(2 * self.buckets, ops.ACCUMULATOR_DTYPE)
        for start in range(0, self.size, _DEVICE_CHUNK):
            part = keras.ops.cast(vector[start : start + _DEVICE_CHUNK], ops.ACCUMULATOR_DTYPE)
            places = self._places_on_device(start, min(_DEVICE_CHUNK, self.size - start))
            sums = sums + keras.ops.segment_sum(part, places, num_segments=2 * self.buckets)
        return keras.ops.cast(sums[0::2] - sums[1::2], "float32")

    def _places(self, start: int, count: int) -> np.ndarray:
        """Returns the places of some coordinates: a hash of their numbers."""
        mixed = np.arange(count, dtype=np.uint32)
        mixed += np.uint32(start & 0xFFFFFFFF)
        mixed *= np.uint32(_SPREAD)
        mixed ^= np.uint32(self._key)
        for shift, factor in _MIX:
            mixed ^= mixed >> np.uint32(shift)
            mixed *= np.uint32(factor)
        mixed ^= mixed >> np.uint32(_LAST_SHIFT)
        mixed >>= np.uint32(1)
        mixed %= np.uint32(2 * self.buckets)
        return mixed.view(np.int32)

    def _places_on_device(self, start: int, count: int) -> Any:
        """Returns the same places, computed with signed integers, which all backends have."""
        mixed = keras.ops.arange(count, dtype="int32") + _signed(start)
        mixed = keras.ops.bitwise_xor(mixed * _signed(_SPREAD), _signed(self._key))
        for shift, factor in _MIX:
            mixed = keras.ops.bitwise_xor(mixed, _shifted(mixed, shift)) * _signed(factor)
        mixed = keras.ops.bitwise_xor(mixed, _shifted(mixed, _LAST_SHIFT))
        return keras.ops.mod(_shifted(mixed, 1), 2 * self.buckets)


def _kept_type(vector: Any) -> str:
    """Returns the type of a vector's sketch, in which small differences do not get lost."""
    return "float64" if keras.backend.standardize_dtype(vector.dtype) == "float64" else "float32"


def _signed(number: int) -> int:
    """Returns the signed 32-bit integer with the same bits as an unsigned one."""
    return (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def _shifted(numbers: Any, by: int) -> Any:
    """Shifts the bits of signed 32-bit integers to the right, and zeros in from the left."""
    return keras.ops.bitwise_and(keras.ops.right_shift(numbers, by), 0xFFFFFFFF >> by)
