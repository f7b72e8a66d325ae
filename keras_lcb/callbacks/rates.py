"""Learning rates of a run, from what each optimizer said at each record."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


def rate_of_each_layer(rates: list[np.ndarray], used: list[bool]) -> np.ndarray:
    """Returns the rate of each layer at each record: that of the first used optimizer it has.

    Args:
        rates: For each record, an array (optimizers, layers), NaN where one does not train.
        used: For each optimizer, whether it made updates.
    """
    chosen = []
    for record in rates:
        of_used = [row for row, is_used in zip(record, used, strict=False) if is_used]
        of_used = of_used or list(record)
        known = of_used[0].copy()
        for other in of_used[1:]:
            known = np.where(np.isnan(known), other, known)
        chosen.append(known)
    return np.stack(chosen)


def learning_rate(rates: np.ndarray) -> dict[str, tuple[Any, ...]]:
    """Returns the run's variable: one rate a record, or one a layer where they differ."""
    if np.isnan(rates).all():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no layer has a rate
        least, most = np.nanmin(rates, axis=1), np.nanmax(rates, axis=1)
    if np.array_equal(least, most, equal_nan=True):
        return {"learning_rate": (("step",), least)}
    return {"learning_rate": (("step", "layer"), rates)}
