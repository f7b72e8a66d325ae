"""How far the kernels that LoRA layers really use are from where they end.

A LoRA layer computes with W + s·A·B, of which only A and B train: with A → cA and B → B/c nothing
would change but the distance between parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.training.layers import TrackedLayer


def has_lora(row: TrackedLayer) -> bool:
    """Whether a row is one layer with LoRA."""
    return len(row.layers) == 1 and bool(getattr(row.layers[0], "lora_enabled", False))


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
    kind = "kernel" if hasattr(layer, "lora_kernel_a") else "embeddings"
    first, second = (
        _part(row.variables, getattr(layer, f"lora_{kind}_{side}"), vector) for side in "ab"
    )
    return first.reshape(-1, layer.lora_rank), second.reshape(layer.lora_rank, -1)


def _part(variables: Sequence[Any], wanted: Any, vector: np.ndarray) -> np.ndarray:
    """Returns what a vector of all parameters holds of one variable."""
    start = 0
    for variable in variables:
        size = int(np.prod(tuple(variable.shape)))
        if variable is wanted:
            return vector[start : start + size].astype(np.float64)
        start += size
    raise ValueError(f"The layer has no variable '{wanted.path}'.")
