"""A layer's way from its first to its last weights, measured otherwise than by what is left of it.

The distance to the end says when a layer is near; it does not say whether the layer has moved far
from its start by then, nor whether only the length of its weights changed. These two do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def way_from_start(weights: ArrayLike, end: ArrayLike | None = None) -> np.ndarray:
    """Return ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖ for a layer: 0 at the start, 1 at the end.

    It exceeds 1 where a layer goes further than its endpoint and comes back.

    Args:
        weights: The layer's parameters at each record, (steps, parameters), the first at the start.
        end: The converged parameters θ*; the last record by default.

    Returns:
        One number a record; NaN throughout where the endpoint is the start, or not finite.

    Example:
        >>> way_from_start([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
        array([0. , 0.6, 1. ])
    """
    theta, last = _records(weights, end)
    whole = np.linalg.norm(last - theta[0])
    if not 0 < whole < np.inf:
        return np.full(len(theta), np.nan)
    return np.linalg.norm(theta - theta[0], axis=1) / whole


def angle_to_end(kernels: ArrayLike, end: ArrayLike | None = None) -> np.ndarray:
    """Return 1 − cos(w(t), w*) for a layer's kernels: 0 at the end, whatever their lengths.

    For unit vectors u and v, 1 − u·v = ‖u − v‖² / 2, which is exact for small angles, too.

    Args:
        kernels: The layer's kernels at each record, (steps, parameters); all of them as one
            vector, without biases and the vectors of a normalisation.
        end: The converged kernels w*; the last record by default.

    Returns:
        One number a record; NaN where one of the two is zero or not finite, and so has no
        direction.

    Source: the counterpart of Carbonnelle & De Vleeschouwer (2019), "Layer rotation", who measure
    the angle from the start.

    Example:
        >>> angle_to_end([[0.0, 2.0], [3.0, 3.0], [5.0, 0.0]]).round(3)
        array([1.   , 0.293, 0.   ])
    """
    w, last = _records(kernels, end)
    return 0.5 * np.sum((_unit(w) - _unit(last)) ** 2, axis=1)


def _records(values: ArrayLike, end: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    records = np.asarray(values, dtype=np.float64)
    if records.ndim != 2 or not len(records):
        raise ValueError(
            "The weights have to be an array (steps, parameters) with one record or more; received "
            f"shape {records.shape}."
        )
    last = records[-1] if end is None else np.asarray(end, dtype=np.float64)
    if last.shape != records[0].shape:
        raise ValueError(
            f"The endpoint has shape {last.shape}, and each record {records[0].shape}: they have "
            "to be the same layer's."
        )
    return records, last


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    known = (lengths > 0) & np.isfinite(lengths)
    return np.divide(vectors, lengths, out=np.full_like(vectors, np.nan), where=known)
