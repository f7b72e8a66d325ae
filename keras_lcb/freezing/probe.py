"""Checks the samples on which changes of activations are measured."""

from __future__ import annotations

from typing import Any

import keras


def check_probe(x: Any) -> None:
    """Checks that a probe batch consists of arrays with at least two different samples.

    The similarity of activations comes from the differences between samples. Without any, all
    layers would seem to stay the same.

    Raises:
        ValueError: If it does not.
    """
    arrays = keras.tree.flatten(x)
    other = next((each for each in arrays if not _is_array(each)), None)
    if other is not None or not arrays:
        kind = type(x if other is None else other).__name__
        within = "" if other is x or other is None else f" within a {type(x).__name__}"
        raise ValueError(
            "`x`, the probe batch, must be an array of samples, or a list or dict of arrays if the "
            f"model has several inputs; received {kind}{within}. Pass the samples themselves, for "
            "example `x=x_train[:200]`; take them out of a data set first."
        )
    lengths = sorted({len(each) for each in arrays})
    if len(lengths) > 1:
        raise ValueError(
            "The arrays in `x`, the probe batch, must have equally many samples; received "
            f"{' and '.join(map(str, lengths))}. Pass the same samples for each input."
        )
    if not any(_differs(each) for each in arrays):
        raise ValueError(
            "`x`, the probe batch, must hold at least 2 different samples, because activations are "
            f"compared by how samples differ; received {lengths[0]} without a difference. Pass 100 "
            "to 500 samples."
        )


def _is_array(value: Any) -> bool:
    return hasattr(value, "__getitem__") and len(getattr(value, "shape", ())) > 0


def _differs(array: Any) -> bool:
    """Returns whether any sample of an array differs from the first one."""
    values = keras.ops.convert_to_numpy(array)
    return bool((values[1:] != values[:1]).any())
