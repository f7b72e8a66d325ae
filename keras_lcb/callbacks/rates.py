"""The learning rates of a run, from the rates that each optimizer reported at each record."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


def rate_of_each_layer(rates: list[np.ndarray], used: list[bool]) -> np.ndarray:
    """Returns the learning rate of each layer at each record, an array (records, layers).

    If several optimizers train a layer, the first of them that made updates counts. The first
    record is taken before any update has shown what each optimizer trains; the next record tells.

    Args:
        rates: For each record, an array (optimizers, layers), NaN where an optimizer does not
            train a layer.
        used: For each optimizer, whether it made updates.
    """
    chosen = []
    if len(rates) > 1 and rates[0].shape == rates[1].shape:
        rates = [np.where(np.isnan(rates[1]), np.nan, rates[0]), *rates[1:]]
    for record in rates:
        of_used = [row for row, is_used in zip(record, used, strict=False) if is_used]
        of_used = of_used or list(record)
        known = of_used[0].copy()
        for other in of_used[1:]:
            known = np.where(np.isnan(known), other, known)
        chosen.append(known)
    return np.stack(chosen)


def learning_rate(rates: np.ndarray) -> dict[str, tuple[Any, ...]]:
    """Returns the run's `learning_rate`: over records, and over layers if the layers differ."""
    if np.isnan(rates).all():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy warns if all rates are NaN
        least, most = np.nanmin(rates, axis=1), np.nanmax(rates, axis=1)
    if np.array_equal(least, most, equal_nan=True):
        return {"learning_rate": (("step",), least)}
    return {"learning_rate": (("step", "layer"), rates)}
