"""Data in chunks: arrays as `fit` would make them, cut along the axis of the samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def as_arrays(values: Any) -> Any:
    """Arrays as `fit` would make them: floating point numbers in Keras' precision.

    Raises:
        ValueError: If they are none.
    """

    def convert(array: Any) -> np.ndarray:
        array = keras.ops.convert_to_numpy(array) if keras.ops.is_tensor(array) else array
        array = np.asarray(array)
        if array.ndim == 0 or array.dtype == object:
            raise ValueError(
                "The data are arrays whose first axis counts samples, or lists or dicts of such "
                f"arrays; received {type(values).__name__}."
            )
        return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array

    if values is None:
        return None
    several = isinstance(values, (list, tuple)) and any(len(_shape(v)) > 0 for v in values)
    return (
        keras.tree.map_structure(convert, values)
        if several or isinstance(values, dict)
        else (convert(values))
    )


def _shape(values: Any) -> Any:
    return getattr(values, "shape", ())


def length(x: Any, y: Any, sample_weight: Any) -> int:
    """The number of samples, which all arrays have.

    Raises:
        ValueError: If they do not, or there are none.
    """
    lengths = {
        name: sorted({len(array) for array in keras.tree.flatten(values) if array is not None})
        for name, values in (("x", x), ("y", y), ("sample_weight", sample_weight))
    }
    counts = {length for found in lengths.values() for length in found}
    if len(counts) != 1:
        named = ", ".join(
            f"{name} {' and '.join(map(str, found))}" for name, found in lengths.items() if found
        )
        raise ValueError(f"The data must have as many samples each; received {named or 'none'}.")
    (samples,) = counts
    if samples == 0:
        raise ValueError("The data hold no samples, so there is no loss.")
    return samples


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


def shares(samples: int, size: int) -> tuple[float, float]:
    """The parts of the samples that are in each chunk, and in the last one."""
    return size / samples, (samples % size or size) / samples


def to_device(values: Any) -> Any:
    """The arrays as tensors."""
    if values is None:
        return None
    return keras.tree.map_structure(keras.ops.convert_to_tensor, values)


def chunk(data: Any, start: Any, size: int) -> Any:
    """Those samples of all arrays that begin at `start`."""

    def cut(array: Any) -> Any:
        if array is None:
            return None
        begin = [start] + [0] * (len(array.shape) - 1)
        return keras.ops.slice(array, begin, [size, *array.shape[1:]])

    return [None if part is None else keras.tree.map_structure(cut, part) for part in data]
