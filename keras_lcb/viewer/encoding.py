"""Numbers as text: exact to float32, or in one byte each, where many runs share a page."""

from __future__ import annotations

import base64
import math
from typing import Any, Literal

import numpy as np

Precision = Literal["float32", "byte"]

# Codes of the byte form; those below are equal steps from the least to the greatest value.
STEPS, INFINITE, NOT_A_NUMBER = 253, 254, 255
# Positive values that span more than this are stored by their logarithm.
_WIDE = 10.0


def encoded(values: np.ndarray, precision: Precision = "float32") -> dict[str, Any]:
    """Returns an array as what JSON can hold.

    Args:
        values: Any numbers.
        precision: `"float32"` for four bytes each, little-endian; `"byte"` for one: equal steps
            between the least and the greatest finite value, of the logarithm where values are
            positive and span more than a factor of ten. The error is at most half a step, 1/506
            of the range. −∞ then becomes NaN. Each record's bytes are given as what changed since
            the record before, modulo 256, which compresses well.

    Returns:
        `shape`, `data` (base64), and for bytes `low`, `high` and `log`.

    Example:
        >>> encoded(np.array([0.0, 1.0]), "byte")
        {'shape': [2], 'low': 0.0, 'high': 1.0, 'log': False, 'data': 'AP0='}
    """
    if precision == "float32":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            return {"shape": list(values.shape), "data": _text(values.astype("<f4"))}
    finite = values[np.isfinite(values)]
    log = finite.size > 0 and bool(0 < finite.min() < finite.max() / _WIDE)
    scaled = np.log(values, where=values > 0, out=np.full(values.shape, np.nan)) if log else values
    low, high = _range(scaled[np.isfinite(values)])
    with np.errstate(invalid="ignore"):
        codes = np.round((scaled - low) / ((high - low) or 1.0) * STEPS)
    codes = np.where(np.isfinite(values), codes, NOT_A_NUMBER)
    codes = np.where(np.isposinf(values), INFINITE, codes)
    return {
        "shape": list(values.shape),
        "low": low,
        "high": high,
        "log": log,
        "data": _text(_changes(codes.astype(np.uint8))),
    }


def _range(values: np.ndarray) -> tuple[float, float]:
    """Returns the least and the greatest value, with six digits, none of them outside."""
    if not values.size:
        return 0.0, 1.0
    return _rounded(float(values.min()), math.floor), _rounded(float(values.max()), math.ceil)


def _rounded(value: float, towards: Any) -> float:
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 5)
    return float(f"{towards(value / unit) * unit:.6g}")


def _changes(codes: np.ndarray) -> np.ndarray:
    return np.diff(codes, axis=0, prepend=np.zeros_like(codes[:1]))


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
