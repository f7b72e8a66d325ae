"""The rules that determine how many units are frozen. Shallow units freeze first.

A unit is a layer, or a group of layers that freeze together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from keras_lcb.freezing.evidence import Evidence
from keras_lcb.freezing.schedules import annealing, freezing_epochs, freezing_fractions
from keras_lcb.training.layers import TrackedLayer

State = dict[str, Any]  # the state of a rule that a record holds


class Rule(Protocol):
    """Determines how many units are frozen.

    Attributes:
        name: The name, in a run, of the variable by which the rule decides.
        long_name: The meaning of this variable.
        values: Its present value for each unit.
        ends: The number of epochs that each unit trains, or `None` if it is not known in advance.
    """

    name: str
    long_name: str
    values: np.ndarray
    ends: np.ndarray | None

    def begin(self, units: Sequence[TrackedLayer], epochs: int) -> None:
        """Starts a run with these units and this number of epochs."""

    def frozen(self, epoch: int) -> int:
        """Returns how many units are frozen in an epoch, when it begins."""

    def observe(self, epoch: int) -> None:
        """Updates the rule. Called after each epoch with the number of finished epochs."""

    def why(self, unit: int, values: np.ndarray) -> str:
        """Explains why a unit freezes, given the values of all units."""

    def state(self) -> State:
        """Returns the state of the rule for a record."""

    def restore(self, records: Sequence[State]) -> None:
        """Restores the state of the last record."""


class Schedule:
    """The rule of FreezeOut: the steps of each unit fall to zero over its own part of the run.

    Args:
        schedule: "linear" or "cubic".
        start: The fraction of the run at which the first unit freezes.
    """

    name = "update_factor"
    long_name = "part of the optimizer's step that the layer takes"

    def __init__(self, schedule: str, start: float) -> None:
        self.schedule, self.start = schedule, start

    def begin(self, units: Sequence[TrackedLayer], epochs: int) -> None:
        """Finds the epochs at which units freeze.

        Raises:
            ValueError: If none of them freezes before the end.
        """
        self._fractions = freezing_fractions(self.schedule, self.start, len(units))
        self.ends: np.ndarray | None = freezing_epochs(self._fractions, epochs)
        self._epochs = epochs
        self.observe(0)
        if self.ends[0] >= epochs:
            raise ValueError(
                f"With epochs={epochs}, no layer freezes before the end. Layers freeze when an "
                f"epoch begins, and the first one is due at the fraction {self.start:g} of the "
                "run. Train for more epochs in one `fit`, or choose a smaller `start`."
            )

    def frozen(self, epoch: int) -> int:
        """Returns how many units are past their last epoch. The last unit never is."""
        assert self.ends is not None
        return int(np.sum((self.ends <= epoch) & (self.ends < self._epochs)))

    def observe(self, epoch: int) -> None:
        """Computes the factors at the end of an epoch."""
        assert self.ends is not None
        self.values = annealing(epoch / self.ends)

    def why(self, unit: int, values: np.ndarray) -> str:
        """Names the schedule and the fraction of the run at which it freezes the unit."""
        return f"{self.schedule} schedule: due at {self._fractions[unit]:.3g} of the run"

    def state(self) -> State:
        """Returns nothing, because the epoch determines the state."""
        return {}

    def restore(self, records: Sequence[State]) -> None:
        """Does nothing, because `state` is empty."""


class Settled:
    """Freezes a unit when it and all units before it have hardly changed for some epochs.

    The endpoint of a unit is not known at that time. A unit that pauses for a while looks like a
    converged one, and so does any unit when the learning rate falls.

    Args:
        evidence: Measures the changes.
        threshold: The change below which a unit counts as settled.
        patience: The number of successive epochs in which a unit must be settled.
        last_trains: Whether the last unit never freezes, because nothing else would train.
    """

    ends: np.ndarray | None = None

    def __init__(
        self, evidence: Evidence, threshold: float, patience: int, last_trains: bool
    ) -> None:
        self.name, self.long_name = evidence.name, evidence.long_name
        self._evidence, self._threshold, self._patience = evidence, threshold, patience
        self._last_trains = last_trains

    def begin(self, units: Sequence[TrackedLayer], epochs: int) -> None:
        """Starts the evidence with these units."""
        self._evidence.begin(units)
        self.values = np.full(len(units), np.nan)
        self._settled = np.zeros(len(units), "int64")  # number of successive epochs
        self._most = len(units) - self._last_trains
        self._count = 0

    def frozen(self, epoch: int) -> int:
        """Returns how many units have been settled for long enough."""
        return self._count

    def observe(self, epoch: int) -> None:
        """Measures how much the units that train have changed."""
        self.values = self._evidence.look()
        self.values[: self._count] = np.nan  # frozen ones do not change
        below = self.values < self._threshold
        self._settled = np.where(below, self._settled + 1, 0)
        while self._count < self._most and self._settled[self._count] >= self._patience:
            self._count += 1

    def why(self, unit: int, values: np.ndarray) -> str:
        """Names the evidence, its value and the threshold."""
        return (
            f"{self.long_name}: {values[unit]:.3g}, below {self._threshold:g} for "
            f"{self._patience} epochs or more"
        )

    def state(self) -> State:
        """Returns for how many epochs units have been settled, and how many units are frozen."""
        return {"settled": self._settled, "count": self._count, **self._evidence.state()}

    def restore(self, records: Sequence[State]) -> None:
        """Restores the state of the last record."""
        self._settled = np.array(records[-1]["settled"])
        self._count = int(records[-1]["count"])
        self._evidence.restore(records[0])
