"""The values of variables while `fit` trains on JAX, which are kept outside of the variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

State = tuple[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]]


def offer_state(model: keras.Model, state: State) -> None:
    """Makes `sync_state` use this state, as Keras does before it calls callbacks."""
    names = ("trainable", "non_trainable", "optimizer", "metrics")
    values = {f"{name}_variables": values for name, values in zip(names, state, strict=True)}
    # Not `setattr`: Keras would inspect each value for tracking, which takes long.
    vars(model).update(_jax_state=values, _jax_state_synced=False)


def take_back_state(model: keras.Model, state: State) -> None:
    """Assigns a state that `fit` holds to the model's variables, unless a step has used it up."""
    if not any(value.is_deleted() for values in state for value in values):
        offer_state(model, state)
        sync_state(model)


def sync_state(model: keras.Model) -> None:
    """Assigns the state that `fit` holds on JAX to the model's variables; else does nothing."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
