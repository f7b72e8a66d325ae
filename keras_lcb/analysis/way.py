"""Two measures of a layer's progress that complement its distance to the end.

The distance to the end tells when a layer is near its end. It does not tell how far the layer has
moved from its start by then, nor whether only the norm of its weights changed. These measures do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def way_from_start(weights: ArrayLike, end: ArrayLike | None = None) -> np.ndarray:
    """Returns ‖θ(t) − θ(0)‖ / ‖θ* − θ(0)‖ for a layer: 0 at the start, 1 at the end.

    It exceeds 1 while a layer is further from its start than its endpoint is.

    Args:
        weights: The layer's parameters at each record, (steps, parameters). The first record is
            the start.
        end: The converged parameters θ*, (parameters,). Defaults to the last record.

    Returns:
        One number for each record; all NaN if the endpoint equals the start or is not finite.

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
    """Returns 1 − cos(w(t), w*) for a layer's kernels: 0 at the end, independent of their norms.

    It is computed as ‖u − v‖² / 2 with unit vectors u and v, which is precise for small angles.

    Args:
        kernels: The layer's kernels at each record as one vector, (steps, parameters), without
            biases and the vectors of a normalization.
        end: The converged kernels w*, (parameters,). Defaults to the last record.

    Returns:
        One number for each record; NaN if w(t) or w* is zero or not finite.

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
            "The weights must be an array (steps, parameters) with at least one record; received "
            f"the shape {records.shape}."
        )
    last = records[-1] if end is None else np.asarray(end, dtype=np.float64)
    if last.shape != records[0].shape:
        raise ValueError(
            f"`end` must have the shape of one record, {records[0].shape}; received {last.shape}. "
            "Pass the endpoint of the same layer."
        )
    return records, last


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    known = (lengths > 0) & np.isfinite(lengths)
    return np.divide(vectors, lengths, out=np.full_like(vectors, np.nan), where=known)
