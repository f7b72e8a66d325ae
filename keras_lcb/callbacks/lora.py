"""How far the kernels that LoRA layers really use are from where they end.

A LoRA layer computes with W + s·A·B, of which only A and B train: with A → cA and B → B/c nothing
would change but the distance between parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.training.layers import TrackedLayer


def has_lora(row: TrackedLayer) -> bool:
    """Whether a row is one layer that had LoRA when the row was made."""
    if len(row.layers) != 1 or not getattr(row.layers[0], "lora_enabled", False):
        return False
    factors = _factor_variables(row.layers[0])
    return all(any(factor is variable for variable in row.variables) for factor in factors)


def effective_distance(row: TrackedLayer, now: np.ndarray, end: np.ndarray) -> float:
    """Returns the distance ‖s·A(t)·B(t) − s·A*·B*‖ between two effective kernels.

    The product is never made: with [A, −A*] = Q₁R₁ and [B; B*]ᵀ = Q₂R₂, it is s·‖R₁R₂ᵀ‖.

    Args:
        row: A layer with LoRA.
        now: Its parameters as one vector.
        end: Its parameters at the endpoint.
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
    """Returns what a vector of all parameters holds of one variable."""
    start = 0
    for variable in variables:
        size = int(np.prod(tuple(variable.shape)))
        if variable is wanted:
            return vector[start : start + size].astype(np.float64)
        start += size
    raise ValueError(f"The layer has no variable '{wanted.path}'.")
