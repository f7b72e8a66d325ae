"""What the settings of all experiments have in common: their checks, and the optimizer."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from typing import Any, Protocol

import keras


class TrainingSettings(Protocol):
    """The settings that say how an experiment trains."""

    @property
    def optimizer(self) -> str:
        """`"sgd"`, `"momentum"`, or another name that Keras knows."""

    @property
    def learning_rate(self) -> float:
        """Of the optimizer, constant."""

    @property
    def momentum(self) -> float:
        """Of the optimizer `"momentum"`."""

    @property
    def updates(self) -> int:
        """How many."""

    @property
    def record_every(self) -> int:
        """Updates between records."""


def read_settings(kind: type, text: str) -> dict[str, Any]:
    """Return settings from JSON text, by name.

    Args:
        kind: The dataclass whose settings they are.
        text: The text.

    Raises:
        ValueError: If they are not.
    """
    settings = json.loads(text)
    known = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(settings, dict) or not set(settings) <= known:
        raise ValueError(
            f"These are no settings of an experiment: {text}. They may hold "
            f"{', '.join(sorted(known))}."
        )
    return settings


def whole_number(name: str, value: Any, least: int) -> int:
    """Return a setting as an integer.

    Raises:
        ValueError: If it is none, or below `least`.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"`{name}` must be a whole number from {least} on, got {value!r}.")
    return int(value)


def check_training(config: TrainingSettings) -> None:
    """Refuse settings with which nothing can be trained.

    Raises:
        ValueError: If a setting is out of its range.
    """
    if config.updates % config.record_every:
        raise ValueError(
            f"`updates` must be a multiple of `record_every`: {config.updates} is none of "
            f"{config.record_every}."
        )
    if not (math.isfinite(config.learning_rate) and config.learning_rate > 0):
        raise ValueError(f"`learning_rate` must be positive, got {config.learning_rate}.")
    if not 0 <= config.momentum < 1:
        raise ValueError(f"`momentum` is from 0 to below 1, got {config.momentum}.")
    new_optimizer(config)


def new_optimizer(config: TrainingSettings) -> keras.optimizers.Optimizer:
    """Return the optimizer that settings name, with Keras' own defaults beside them."""
    if config.optimizer in ("sgd", "momentum"):
        momentum = config.momentum if config.optimizer == "momentum" else 0.0
        return keras.optimizers.SGD(config.learning_rate, momentum=momentum)
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    return optimizer
