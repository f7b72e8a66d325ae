"""The rules that say how many units are frozen, the shallowest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from keras_lcb.freezing.evidence import Evidence
from keras_lcb.freezing.schedules import annealing, freezing_epochs, freezing_fractions
from keras_lcb.training.layers import TrackedLayer

Kept = dict[str, Any]  # what a record holds of a rule


class Rule(Protocol):
    """Says how many units are frozen.

    Attributes:
        name: Of the number that it goes by, in a run.
        long_name: Its meaning.
        values: That number now, for each unit.
        ends: How many epochs each unit trains, where that is known ahead.
    """

    name: str
    long_name: str
    values: np.ndarray
    ends: np.ndarray | None

    def begin(self, units: Sequence[TrackedLayer], epochs: int) -> None:
        """Takes the units, at the beginning of a run, and the length of the run."""

    def frozen(self, epoch: int) -> int:
        """Returns how many units are frozen in the epoch that begins."""

    def observe(self, epoch: int) -> None:
        """Called when so many epochs are done."""

    def why(self, unit: int, values: np.ndarray) -> str:
        """Says why a unit is frozen from here on."""

    def kept(self) -> Kept:
        """Returns what a record holds of it."""

    def recall(self, records: Sequence[Kept]) -> None:
        """Goes on from the last of the records."""


class Schedule:
    """FreezeOut's: each unit's steps fall to zero over its own part of the run.

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
                f"With {epochs} epochs no layer freezes before the end: stages begin with epochs, "
                f"and the first layer is due at {self.start:g} of the run. Train for more epochs "
                "in one `fit`, or choose a smaller `start`."
            )

    def frozen(self, epoch: int) -> int:
        """Returns how many units have come to their ends, the last one never."""
        assert self.ends is not None
        return int(np.sum((self.ends <= epoch) & (self.ends < self._epochs)))

    def observe(self, epoch: int) -> None:
        """Notes the factors at the end of an epoch."""
        assert self.ends is not None
        self.values = annealing(epoch / self.ends)

    def why(self, unit: int, values: np.ndarray) -> str:
        """Names the schedule and where in the run it freezes the unit."""
        return f"{self.schedule} schedule: due at {self._fractions[unit]:.3g} of the run"

    def kept(self) -> Kept:
        """Returns nothing: the epoch tells all."""
        return {}

    def recall(self, records: Sequence[Kept]) -> None:
        """Has nothing to recall."""


class Settled:
    """Freezes a unit once it has hardly changed for some epochs, and all before it have.

    Where a unit will end is not known then: one that rests for a while looks like one that has
    arrived, and a falling learning rate makes any of them look so.

    Args:
        evidence: What changes are measured by.
        threshold: Below which a unit counts as settled.
        patience: For how many epochs in a row.
        last_trains: Whether the last unit is left out, since nothing else would train.
    """

    ends: np.ndarray | None = None

    def __init__(
        self, evidence: Evidence, threshold: float, patience: int, last_trains: bool
    ) -> None:
        self.name, self.long_name = evidence.name, evidence.long_name
        self._evidence, self._threshold, self._patience = evidence, threshold, patience
        self._last_trains = last_trains

    def begin(self, units: Sequence[TrackedLayer], epochs: int) -> None:
        """Takes the units as they are."""
        self._evidence.begin(units)
        self.values = np.full(len(units), np.nan)
        self._settled = np.zeros(len(units), "int64")  # for how many epochs
        self._most = len(units) - self._last_trains
        self._count = 0

    def frozen(self, epoch: int) -> int:
        """Returns how many units the evidence has frozen."""
        return self._count

    def observe(self, epoch: int) -> None:
        """Looks at the units that train."""
        self.values = self._evidence.look()
        self.values[: self._count] = np.nan  # frozen ones do not change
        below = self.values < self._threshold
        self._settled = np.where(below, self._settled + 1, 0)
        while self._count < self._most and self._settled[self._count] >= self._patience:
            self._count += 1

    def why(self, unit: int, values: np.ndarray) -> str:
        """Names the evidence."""
        return (
            f"{self.long_name}: {values[unit]:.3g}, below {self._threshold:g} for "
            f"{self._patience} epochs or more"
        )

    def kept(self) -> Kept:
        """Returns how long units have been settled, and how many are frozen."""
        return {"settled": self._settled, "count": self._count, **self._evidence.kept()}

    def recall(self, records: Sequence[Kept]) -> None:
        """Goes on with what the last record holds."""
        self._settled = np.array(records[-1]["settled"])
        self._count = int(records[-1]["count"])
        self._evidence.recall(records[0])
