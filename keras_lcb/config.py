"""Checks of settings, and the optimizer that those of an experiment describe."""

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
        """Name of the optimizer: `"sgd"`, `"momentum"`, or another name that Keras knows."""

    @property
    def learning_rate(self) -> float:
        """The learning rate at the start of training."""

    @property
    def momentum(self) -> float:
        """The momentum, which only the optimizer `"momentum"` uses."""

    @property
    def updates(self) -> int:
        """Number of updates."""

    @property
    def record_every(self) -> int:
        """Number of updates between two records."""


def read_settings(kind: type, text: str) -> dict[str, Any]:
    """Returns settings from JSON text, as a dict by name.

    Args:
        kind: The dataclass of the settings.
        text: The text.

    Raises:
        ValueError: If the text is not a JSON object, or holds a setting that `kind` does not have.
    """
    settings = json.loads(text)
    known = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(settings, dict) or not set(settings) <= known:
        raise ValueError(
            f"The settings of an experiment must be a JSON object that holds only "
            f"{', '.join(sorted(known))}; received {text}."
        )
    return settings


def check_storable(name: str, value: Any) -> None:
    """Checks that JSON can hold a setting, since a run keeps its settings.

    Raises:
        ValueError: If it cannot.
    """
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must consist of text, plain numbers, True, False and None, because a run "
            f"keeps its settings as JSON; received {value!r}. Pass an object by its name, such as "
            "'gelu', and a path as text."
        ) from error


def whole_number(name: str, value: Any, least: int) -> int:
    """Returns a setting as an integer.

    Args:
        name: Name of the setting, for the message.
        value: The setting.
        least: Its smallest value.

    Raises:
        ValueError: If the setting is not a whole number, or is below `least`.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"`{name}` must be a whole number, {least} or more; received {value!r}.")
    return int(value)


def true_or_false(name: str, value: Any) -> bool:
    """Returns a setting as `True` or `False`, which may be given as 1 or 0.

    Raises:
        ValueError: If it is something else, such as the word "false", which Python takes for true.
    """
    if value not in (False, True):
        raise ValueError(f"`{name}` must be True or False; received {value!r}.")
    return bool(value)


def is_between(value: Any, least: float, most: float) -> bool:
    """Returns whether a setting is a number between two others, and not one of these."""
    return isinstance(value, numbers.Real) and least < float(value) < most


def check_training(config: TrainingSettings) -> None:
    """Checks the settings that say how an experiment trains.

    Raises:
        ValueError: If a setting is out of its range.
    """
    if config.updates % config.record_every:
        raise ValueError(
            f"`updates` must be a multiple of `record_every`; received updates={config.updates} "
            f"and record_every={config.record_every}."
        )
    rate, momentum = config.learning_rate, config.momentum
    if not (isinstance(rate, numbers.Real) and math.isfinite(rate) and rate > 0):
        raise ValueError(f"`learning_rate` must be a positive number; received {rate!r}.")
    if not (isinstance(momentum, numbers.Real) and 0 <= momentum < 1):
        raise ValueError(f"`momentum` must be 0 or more, and less than 1; received {momentum!r}.")
    new_optimizer(config)


def new_optimizer(config: TrainingSettings) -> keras.optimizers.Optimizer:
    """Returns the optimizer that the settings describe, otherwise with the defaults of Keras."""
    rate = float(config.learning_rate)  # Keras refuses whole numbers
    if config.optimizer in ("sgd", "momentum"):
        momentum = config.momentum if config.optimizer == "momentum" else 0.0
        return keras.optimizers.SGD(rate, momentum=momentum)
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = rate
    return optimizer
