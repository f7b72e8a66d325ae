"""The rules that determine how many units are frozen. Shallow units freeze first.

A unit is a layer, or a group of layers that freeze together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from keras_lcb.freezing.evidence import Evidence
from keras_lcb.freezing.schedules import annealing, freezing_epochs, freezing_fractions
from keras_lcb.training.layers import TrackedLayer

State = dict[str, Any]  # the state of a rule that a record holds


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a rule must know of an epoch that has ended.

    Attributes:
        epochs: The number of finished epochs.
        updates: The number of updates since the rule last observed the units. It is 0 if batches
            were only accumulated, or if the loss scaler skipped all steps.
        rates: The learning rates of the units at the start and at the end of the epoch, (2, units).
    """

    epochs: int
    updates: int
    rates: np.ndarray


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

    def begin(self, units: Sequence[TrackedLayer], epochs: int, first: int) -> None:
        """Begins a training of some units, from its first epoch to its number of epochs."""

    def go_on(self, trained: bool) -> None:
        """Continues in a later `fit`, given whether the model was trained in between."""

    def frozen(self, epoch: int) -> int:
        """Returns how many units are frozen in an epoch, when it begins."""

    def observe(self, finished: Finished) -> None:
        """Updates the rule. Called after each epoch."""

    def value(self, unit: int) -> float:
        """Returns the value by which a unit freezes."""

    def why(self, unit: int) -> str:
        """Explains why a unit freezes."""

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

    def begin(self, units: Sequence[TrackedLayer], epochs: int, first: int) -> None:
        """Finds the epochs at which units freeze.

        Raises:
            ValueError: If none of them freezes before the end.
        """
        self._fractions = freezing_fractions(self.schedule, self.start, len(units))
        self.ends: np.ndarray | None = freezing_epochs(self._fractions, epochs)
        self._epochs = epochs
        self.values = annealing(first / self.ends)
        if self.ends[0] >= epochs:
            raise ValueError(
                f"With epochs={epochs}, no layer freezes before the end. Layers freeze when an "
                f"epoch begins, and the first one is due at the fraction {self.start:g} of the "
                "run. Train for more epochs in one `fit`, or choose a smaller `start`."
            )

    def go_on(self, trained: bool) -> None:
        """Does nothing: each `fit` makes a new schedule, which begins with `begin`."""

    def frozen(self, epoch: int) -> int:
        """Returns how many units are past their last epoch. The last unit never is."""
        assert self.ends is not None
        return int(np.sum((self.ends <= epoch) & (self.ends < self._epochs)))

    def observe(self, finished: Finished) -> None:
        """Computes the factors at the end of an epoch."""
        assert self.ends is not None
        self.values = annealing(finished.epochs / self.ends)

    def value(self, unit: int) -> float:
        """Returns the present factor of a unit."""
        return float(self.values[unit])

    def why(self, unit: int) -> str:
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
    converged one, and so does any unit when the learning rate falls. Where nothing was updated, or
    the learning rate is 0, there is no evidence: such epochs do not count, whatever came before.

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

    def begin(self, units: Sequence[TrackedLayer], epochs: int, first: int) -> None:
        """Starts the evidence with these units."""
        self._evidence.begin(units)
        self.values = np.full(len(units), np.nan)
        self._known = self.values  # the last value of each unit for which there was evidence
        self._settled = np.zeros(len(units), "int64")  # number of successive epochs
        self._most = len(units) - self._last_trains
        self._count = 0

    def go_on(self, trained: bool) -> None:
        """Starts the next look here, so that what happened in between is not taken for an epoch."""
        self._evidence.renew()
        if trained:
            self.values = np.full_like(self.values, np.nan)

    def frozen(self, epoch: int) -> int:
        """Returns how many units have been settled for long enough."""
        return self._count

    def observe(self, finished: Finished) -> None:
        """Measures how much the units that train have changed, unless nothing was updated."""
        if not finished.updates:
            return
        values = self._evidence.look()
        values[: self._count] = np.nan  # frozen ones do not change
        unknown = _could_not_change(values, finished.rates)
        values[unknown] = np.nan
        self.values, self._known = values, np.where(np.isnan(values), self._known, values)
        below = values < self._threshold
        settled = np.where(below, self._settled + 1, 0)
        self._settled = np.where(unknown, self._settled, settled)
        while self._count < self._most and self._settled[self._count] >= self._patience:
            self._count += 1

    def value(self, unit: int) -> float:
        """Returns the last known change of a unit."""
        return float(self._known[unit])

    def why(self, unit: int) -> str:
        """Names the evidence, its value and the threshold."""
        return (
            f"{self.long_name}: {self.value(unit):.3g}, below {self._threshold:g} for "
            f"{self._patience} epoch{'' if self._patience == 1 else 's'} or more"
        )

    def state(self) -> State:
        """Returns for how many epochs units have been settled, and how many units are frozen."""
        return {"settled": self._settled, "count": self._count, **self._evidence.state()}

    def restore(self, records: Sequence[State]) -> None:
        """Restores the state of the last record."""
        self._settled = np.array(records[-1]["settled"])
        self._count = int(records[-1]["count"])
        self.values = np.array(records[-1]["unit_values"])
        for record in records:
            values = np.array(record["unit_values"])
            self._known = np.where(np.isnan(values), self._known, values)
        self._evidence.restore(records[0])


def _could_not_change(values: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Returns whether the learning rate kept a unit from changing.

    A rate that is 0 at one end of the epoch may have had another value in between. Then only a unit
    that did not change at all counts.
    """
    none = rates == 0
    return none.all(axis=0) | (none.any(axis=0) & (values == 0))
