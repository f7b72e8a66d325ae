"""Distances between the effective kernels of layers with LoRA (low-rank adaptation).

Such a layer computes with the effective kernel W + s·A·B, of which only A and B are trained.
Replacing A by cA and B by B/c leaves the effective kernel as it is, but changes the distance
between parameters. The distance between effective kernels does not have this ambiguity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.training.layers import TrackedLayer


def has_lora(row: TrackedLayer) -> bool:
    """Returns whether a row is a single layer that had LoRA when the row was made."""
    if len(row.layers) != 1 or not getattr(row.layers[0], "lora_enabled", False):
        return False
    factors = _factor_variables(row.layers[0])
    return all(any(factor is variable for variable in row.variables) for factor in factors)


def effective_distance(row: TrackedLayer, now: np.ndarray, end: np.ndarray) -> float:
    """Returns the distance ‖s·A(t)·B(t) − s·A*·B*‖ between two effective kernels.

    The large products are never computed. With the QR decompositions [A, −A*] = Q₁R₁ and
    [B; B*]ᵀ = Q₂R₂, the distance is s·‖R₁R₂ᵀ‖.

    Args:
        row: A layer with LoRA.
        now: The layer's parameters as one vector.
        end: The layer's parameters at the endpoint, as one vector.
    """
    layer = row.layers[0]
    (first, second), (first_end, second_end) = (_factors(row, vector) for vector in (now, end))
    left = np.linalg.qr(np.concatenate([first, -first_end], axis=1)).R
    right = np.linalg.qr(np.concatenate([second, second_end]).T).R
    scale = layer.lora_alpha / layer.lora_rank
    return float(scale * np.linalg.norm(left @ right.T))


def _factors(row: TrackedLayer, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns A and B as matrices."""
    layer = row.layers[0]
    first, second = (_part(row.variables, factor, vector) for factor in _factor_variables(layer))
    return first.reshape(-1, layer.lora_rank), second.reshape(layer.lora_rank, -1)


def _factor_variables(layer: keras.Layer) -> tuple[keras.Variable, keras.Variable]:
    """Returns the variables A and B of a layer with LoRA."""
    kind = "kernel" if hasattr(layer, "lora_kernel_a") else "embeddings"
    return getattr(layer, f"lora_{kind}_a"), getattr(layer, f"lora_{kind}_b")


def _part(variables: Sequence[Any], wanted: Any, vector: np.ndarray) -> np.ndarray:
    """Returns the part of a layer's parameter vector that belongs to one variable."""
    start = 0
    for variable in variables:
        size = int(np.prod(tuple(variable.shape)))
        if variable is wanted:
            return vector[start : start + size].astype(np.float64)
        start += size
    raise ValueError(f"The layer has no variable '{wanted.path}'.")
