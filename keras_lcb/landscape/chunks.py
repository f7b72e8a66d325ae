"""Cuts samples into chunks, so that the device works on a bounded number of samples at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_lcb.landscape.samples import Batch, length


@dataclasses.dataclass(frozen=True)
class Cut:
    """How the samples of one shape are cut into chunks.

    Attributes:
        samples: Number of samples.
        size: Number of samples in a chunk; the last chunk may have fewer.
    """

    samples: int
    size: int

    @property
    def chunks(self) -> int:
        """Returns the number of chunks."""
        return -(-self.samples // self.size)


def cut(part: Batch, most: int) -> Cut:
    """Returns how to cut samples into chunks of at most `most` samples."""
    samples = length(*part)
    return Cut(samples, chunk_size(samples, most))


def chunk_size(samples: int, most: int) -> int:
    """Returns the size of a chunk, at most `most`.

    A smaller chunk at the end would be compiled separately. So the size is a divisor of the number
    of samples if there is one between `most / 2` and `most`.

    Raises:
        ValueError: If `most` is not a positive whole number.
    """
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
        raise ValueError(f"`batch_size` must be a number of samples, 1 or more; received {most!r}.")
    if samples <= most:
        return samples
    for size in range(int(most), int(most) // 2, -1):
        if samples % size == 0:
            return size
    return int(most)


def to_device(part: Batch) -> Batch:
    """Converts arrays to tensors."""

    def convert(array: Any) -> Any:
        return None if array is None else keras.ops.convert_to_tensor(array)

    return keras.tree.map_structure(convert, part)


def copied(part: Any) -> Any:
    """Returns copies of tensors on torch, where code may change a tensor in place.

    Keras itself does so: it multiplies the sample weights by the mask of the outputs. Without
    copies, each evaluation of a loss would change the data of the next one.
    """
    if keras.backend.backend() != "torch":
        return part
    return keras.tree.map_structure(lambda v: None if v is None else keras.ops.copy(v), part)


def drawn(part: Batch, size: int) -> Batch:
    """Returns `size` samples, drawn from all of them and left in their order.

    Sorted data have only one class in the first chunk. These samples have several, and the classes
    of their first half are not those of their second half.

    Args:
        part: NumPy arrays.
        size: Number of samples, at most all.
    """
    random = np.random.default_rng(0)
    places = np.sort(random.choice(length(*part), size, replace=False))
    return keras.tree.map_structure(lambda v: None if v is None else v[places], part)


def chunk(part: Batch, start: Any, size: int) -> Batch:
    """Returns `size` samples of each array, beginning at the sample `start`."""

    def cut(array: Any) -> Any:
        if array is None:
            return None
        begin = [start] + [0] * (len(array.shape) - 1)
        return keras.ops.slice(array, begin, [size, *array.shape[1:]])

    return keras.tree.map_structure(cut, part)
