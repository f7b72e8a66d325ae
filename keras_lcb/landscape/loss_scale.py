"""Loss scaling: without it, small gradients are rounded to zero where layers compute in float16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_lcb.backend import internals

# Powers of two: the multiplication and the division round nothing.
_FACTORS = (2.0**15, 2.0**10, 2.0**5, 1.0)


def factors_for(model: keras.Model) -> tuple[float, ...]:
    """Returns factors for the loss, to be tried in this order until all results are finite.

    They are empty for models without float16. bfloat16 has the range of float32, and needs none.
    """
    layers = (model, *internals.flattened(model))
    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in layers)
    return _FACTORS if half else ()


def scaled(loss: Callable[..., Any], factor: Any) -> Callable[..., Any]:
    """Returns a function of the loss times a factor. Without a factor, returns the loss itself."""
    if factor is None:
        return loss

    def times(*own: Any) -> Any:
        return keras.ops.multiply(loss(*own), factor)

    return times


def unscaled(found: Any, factor: Any) -> Any:
    """Divides a derivative of a scaled loss by the factor, and keeps its type."""
    return found if factor is None else found / keras.ops.cast(factor, found.dtype)


def are_finite(found: Any) -> bool:
    """Returns whether tensors have no element that is infinite or NaN."""
    tensors = [tensor for tensor in keras.tree.flatten(found) if tensor is not None]
    return all(bool(keras.ops.all(keras.ops.isfinite(tensor))) for tensor in tensors)
