"""Samples on the device, and how they are cut into chunks along their axis."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_lcb.landscape.samples import Batch, length


@dataclasses.dataclass(frozen=True)
class Cut:
    """How the samples of one shape are cut.

    Attributes:
        samples: How many there are.
        size: How many are in a chunk; the last one may have fewer.
    """

    samples: int
    size: int

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.samples // self.size)


def cut(part: Batch, most: int) -> Cut:
    """Cuts samples into chunks of at most so many."""
    samples = length(*part)
    return Cut(samples, chunk_size(samples, most))


def chunk_size(samples: int, most: int) -> int:
    """A size that leaves no smaller chunk at the end, where one is near: it is compiled apart.

    Raises:
        ValueError: If `most` is no number of samples.
    """
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
        raise ValueError(f"`batch_size` is a number of samples, 1 or more; received {most!r}.")
    if samples <= most:
        return samples
    for size in range(int(most), int(most) // 2, -1):
        if samples % size == 0:
            return size
    return int(most)


def to_device(part: Batch) -> Batch:
    """The arrays as tensors."""

    def convert(array: Any) -> Any:
        return None if array is None else keras.ops.convert_to_tensor(array)

    return keras.tree.map_structure(convert, part)


def chunk(part: Batch, start: Any, size: int) -> Batch:
    """Those samples of all arrays that begin at `start`."""

    def cut(array: Any) -> Any:
        if array is None:
            return None
        begin = [start] + [0] * (len(array.shape) - 1)
        return keras.ops.slice(array, begin, [size, *array.shape[1:]])

    return keras.tree.map_structure(cut, part)
