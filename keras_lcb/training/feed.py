"""What an optimizer tells of its updates goes into a meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from keras_lcb.training.meter import Meter
    from keras_lcb.training.tap import Tap


class Feed:
    """Hands on to a meter of the tap what one optimizer tells, while a step runs or is traced.

    Args:
        tap: The tap.
        number: Of the optimizer, among those that the tap follows.
    """

    def __init__(self, tap: Tap, number: int) -> None:
        self._tap = tap
        self._number = number

    @property
    def _meter(self) -> Meter | None:
        return self._tap.meter_of(self._number)  # which may be made in the midst of a step

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all layers."""
        return self._tap.variables

    @property
    def measures(self) -> bool:
        """Whether anything is measured."""
        return self._meter is not None

    @property
    def needs_weights(self) -> bool:
        """Whether what is measured needs the weights before and after an update."""
        return self._meter is not None and self._meter.needs_weights

    def before_update(self) -> None:
        """Called before each update; by then all variables of the model exist."""
        self._tap.before_update()

    def add(self, *update: Any) -> None:
        """Takes one update: variables, gradients, and weights before and after it."""
        if self._meter is not None:
            self._meter.add(*update)

    def where(self, applied: Any, add: Callable[[], None]) -> None:
        """Calls a function, whose effects on the meter stay only where `applied` is true."""
        if self._meter is not None:
            self._meter.where(applied, add)

    def skip(self) -> None:
        """Takes note of a step that a loss scaler left out."""
        if self._meter is not None:
            self._meter.skip()
