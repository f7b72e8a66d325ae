"""Divides samples into mini-batches of nearly equal size."""

from __future__ import annotations

from typing import Any

import keras

from keras_lcb.config import whole_number
from keras_lcb.landscape.samples import Samples, length


def mini_batches(data: Samples, most: int | None, least: int = 1) -> list[Any]:
    """Divides the inputs into mini-batches whose sizes differ by at most one sample.

    Args:
        data: The samples. Samples of different shapes are in different mini-batches.
        most: The largest number of samples in a mini-batch; `None` for all in one.
        least: The smallest number of samples in a mini-batch.

    Raises:
        ValueError: If there are too few samples.

    Example:
    >>> import numpy as np
    >>> from keras_lcb.landscape.samples import read
    >>> [len(batch) for batch in mini_batches(read(np.zeros((10, 2))), 4)]
    [3, 3, 4]
    """
    if most is not None:
        whole_number("batch_size", most, least)
    batches = []
    for x, *others in data.parts:
        samples = length(x, *others)
        if samples < least:
            raise ValueError(
                f"Received {samples} samples of one shape, but comparing activations takes at "
                f"least {least}. Pass more samples."
            )
        count = 1 if most is None else min(-(-samples // most), samples // least)
        ends = [samples * place // count for place in range(count + 1)]
        batches += [_part(x, *ends[place : place + 2]) for place in range(count)]
    return batches


def _part(x: Any, start: int, stop: int) -> Any:
    return keras.tree.map_structure(lambda array: array[start:stop], x)
