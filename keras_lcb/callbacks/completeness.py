"""Refuses models whose variables do not all exist when training begins."""

from __future__ import annotations

import keras

from keras_lcb.backend import internals
from keras_lcb.training.call_trace import trace_calls
from keras_lcb.training.layers import check_built, unbuilt

_MOST_NAMES = 6


def check_complete(model: keras.Model, purpose: str) -> None:
    """Checks that `fit` will create no more variables.

    Layers that the model's `call` does not reach may stay unbuilt.

    Args:
        model: The model.
        purpose: Who needs the variables, for the error.

    Raises:
        ValueError: If variables are missing, with the names of the layers that lack them.
    """
    missing = unbuilt(model)
    if missing and not (model.weights and _is_called(model)):
        names = ", ".join(f"'{name}'" for name in missing[:_MOST_NAMES])
        more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
        raise ValueError(
            f"{purpose} needs a model whose variables exist, and '{model.name}' is not built yet. "
            "Call the model on one batch, `model(x[:1])`, before `fit`. Build layers that this "
            f"does not reach with `layer.build(shape)`, or remove them. Not built are: {names}"
            f"{more}."
        )
    check_built(model)


def _is_called(model: keras.Model) -> bool:
    """Calls a built model symbolically, which builds what its `call` reaches.

    Returns:
        Whether this was possible.
    """
    if not (model.built and internals.has_own_call(model)):
        return False
    try:
        trace_calls(model, [])
    except Exception:  # any code may stand in a model's `call`
        return False
    return True
