"""`Feed` passes the updates of one optimizer on to a meter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from keras_lcb.training.meter import Meter
    from keras_lcb.training.tap import Tap


class Feed:
    """Passes the updates of one optimizer on to a meter of the tap.

    It is the `Receiver` that the optimizer calls while a training step runs or is traced.

    Args:
        tap: The tap.
        number: The position of the optimizer among those that the tap follows.
    """

    def __init__(self, tap: Tap, number: int) -> None:
        self._tap = tap
        self._number = number

    @property
    def _meter(self) -> Meter | None:
        # Looked up anew each time, since the tap may create the meter during the first step.
        return self._tap.meter_of(self._number)

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
        """Whether a measured quantity needs the weights before and after an update."""
        return self._meter is not None and self._meter.needs_weights

    def before_update(self) -> None:
        """Tells the tap that an update begins. All variables of the model exist by now."""
        self._tap.before_update()

    def add(self, *update: Any) -> None:
        """Measures one update, given its variables, gradients, and weights before and after it."""
        if self._meter is not None:
            self._meter.add(*update)

    def where(self, applied: Any, add: Callable[[], None]) -> None:
        """Calls `add`, and undoes its effects on the meter if `applied` is false."""
        if self._meter is not None:
            self._meter.where(applied, add)

    def skip(self) -> None:
        """Counts a step that a loss scaler skipped."""
        if self._meter is not None:
            self._meter.skip()
