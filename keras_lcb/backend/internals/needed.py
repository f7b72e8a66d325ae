"""Which private names the package needs of each kind of object, and whether they are there."""

from __future__ import annotations

from typing import Any

import keras

NEEDED = {
    "layer": ("_layers", "_trainable_variables", "_non_trainable_variables", "_flatten_layers"),
    "model": (
        "_build_shapes_dict",
        "_call_has_training_arg",
        "_compile_loss",
        "_compute_loss",
        "_initial_epoch",
    ),
    "compiled loss": ("_user_loss", "_user_loss_weights", "_flat_losses"),
    "symbolic tensor": ("_keras_history",),
    "operation": ("_inbound_nodes",),
    "optimizer": (
        "_variables",
        "_iterations",
        "_trainable_variables",
        "_backend_update_step",
        "_update_model_variables_moving_average",
    ),
    "loss scaler": (
        "inner_optimizer",
        "_stateful_handle_non_finite_grads",
        "_stateless_handle_non_finite_grads",
    ),
}


def missing_names(kind: str, thing: Any) -> list[str]:
    """Returns the private names that this package needs of an object, but that the object lacks.

    Args:
        kind: "layer", "model", "compiled loss", "symbolic tensor", "operation", "optimizer" or
            "loss scaler".
        thing: The object.
    """
    return [name for name in NEEDED[kind] if not hasattr(thing, name)]


def check(kind: str, thing: Any) -> None:
    """Checks that an object has all private names that this package needs.

    Raises:
        ValueError: If the object lacks one of them.
    """
    lacking = missing_names(kind, thing)
    if lacking:
        names = ", ".join(f"`{name}`" for name in lacking)
        raise ValueError(
            f"{type(thing).__name__} has no {names} in Keras {keras.__version__}, which keras_lcb "
            f"needs to follow a {kind}. Use the Keras version that keras_lcb asks for, or an "
            "optimizer of keras.optimizers."
        )
