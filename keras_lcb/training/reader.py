"""What is read from a meter, and collected for one callback until its next record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_lcb.quantities.settings import same
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.spool import Spool, Spooled
from keras_lcb.training.trial import results_of


@dataclasses.dataclass
class Reading:
    """What was read from a meter.

    Attributes:
        sums: For each quantity of the meter, an array (variables, numbers).
        updates: How many updates were measured.
        updates_of: For each group of variables, the number of updates in which it had a gradient.
        nonfinite: How many updates had a gradient that is not finite.
        since_nonfinite: The number of updates from the first of these on; 0 if there is none.
        skipped: The number of steps that a loss scaler skipped.
        lost: The number of updates that were overwritten before they were read individually.
        each: For each quantity, an array (updates, variables, numbers) for single updates; NaN for
            those that were lost. Empty if they are not kept.
        taking_part: Whether a variable had a gradient in an update: (updates, variables).
    """

    sums: list[np.ndarray]
    updates: int
    updates_of: dict[frozenset[int], int]
    nonfinite: int = 0
    since_nonfinite: int = 0
    skipped: int = 0
    lost: int = 0
    each: list[np.ndarray] = dataclasses.field(default_factory=list)
    taking_part: np.ndarray | None = None


@dataclasses.dataclass
class Taken:
    """What a reader takes for one record.

    Attributes:
        values: For each quantity, by name, an array with one number a row.
        each: For each quantity, by name, the values of single updates, (updates, rows). Empty if
            they are not kept.
        updates: How many updates were measured.
        updates_of: For each row, the number of updates in which it had a gradient.
        nonfinite: How many updates had a gradient that is not finite.
        since_nonfinite: The number of updates from the first of these on; 0 if there is none.
        skipped: The number of steps that a loss scaler skipped.
        lost: The number of updates that were overwritten before they were read individually.
    """

    values: dict[str, np.ndarray]
    each: dict[str, Spooled]
    updates: int
    updates_of: np.ndarray
    nonfinite: int
    since_nonfinite: int
    skipped: int
    lost: int


class Reader:
    """Collects what a meter has measured for some rows, until it is taken for a record.

    Args:
        quantities: What to read.
        rows: The layers, or groups of layers.
        ring_rows: How many updates the meter must keep individually between two drains. Defaults
            to 0.
    """

    def __init__(
        self,
        quantities: Sequence[StepQuantity],
        rows: Sequence[TrackedLayer],
        ring_rows: int = 0,
    ) -> None:
        self.quantities = list(quantities)
        self.rows = list(rows)
        self.ring_rows = ring_rows
        self.updates = self.skipped = 0  # since the last record
        # The values of single updates. There may be millions of them.
        self.spools = [Spool(len(self.rows)) for _ in self.quantities] if ring_rows else []
        self._empty()

    def _empty(self) -> None:
        self._sums: list[Any] = [0.0] * len(self.quantities)
        self._updates_of = np.zeros(len(self.rows), "int64")
        self.updates = self.skipped = 0
        self._nonfinite = self._since_nonfinite = self._lost = 0
        self._begin = len(self.spools[0]) if self.spools else 0

    def add(self, reading: Reading, slots: Sequence[int], places: Sequence[frozenset[int]]) -> None:
        """Adds a reading of a meter.

        Args:
            reading: The reading.
            slots: The slot of each of the reader's quantities in the meter.
            places: The places of each row's variables in the meter.
        """
        order = [sorted(row) for row in places]
        for number, slot in enumerate(slots):
            sums = [reading.sums[slot][row].sum(axis=0) for row in order]
            self._sums[number] = self._sums[number] + np.stack(sums)
            if self.spools:
                self.spools[number].append(self._each_of(number, slot, reading, order))
        self._updates_of += [reading.updates_of[row] for row in places]
        if self._since_nonfinite:
            self._since_nonfinite += reading.updates
        else:
            self._since_nonfinite = reading.since_nonfinite
        self.updates += reading.updates
        self._nonfinite += reading.nonfinite
        self.skipped += reading.skipped
        self._lost += reading.lost

    def _each_of(
        self, number: int, slot: int, reading: Reading, order: Sequence[list[int]]
    ) -> np.ndarray:
        """Returns the values of single updates, (updates, rows); NaN without a gradient."""
        assert reading.taking_part is not None
        numbers = np.stack([reading.each[slot][:, row].sum(axis=1) for row in order], axis=1)
        own = np.stack([reading.taking_part[:, row].any(axis=1) for row in order], axis=1)
        values = results_of(self.quantities[number], numbers, own.astype("int64"))
        return np.where(own, values, np.nan)

    def take(self) -> Taken:
        """Returns what has been collected, and starts anew."""
        taken = self.look()
        self._empty()
        return taken

    def look(self) -> Taken:
        """Returns what has been collected."""
        values = {
            quantity.name: self._values(quantity, sums)
            for quantity, sums in zip(self.quantities, self._sums, strict=True)
        }
        each = {
            quantity.name: spool.since(self._begin)
            for quantity, spool in zip(self.quantities, self.spools, strict=False)
        }
        return Taken(
            values=values,
            each=each,
            updates=self.updates,
            updates_of=self._updates_of,
            nonfinite=self._nonfinite,
            since_nonfinite=self._since_nonfinite,
            skipped=self.skipped,
            lost=self._lost,
        )

    def _values(self, quantity: StepQuantity, sums: Any) -> np.ndarray:
        """Returns one number a row; NaN where there was no update."""
        values = np.full(len(self.rows), np.nan)
        if self.updates:
            moved = self._updates_of > 0
            values[moved] = results_of(quantity, sums[moved], self._updates_of[moved])
            values[~moved & self._frozen()] = quantity.of_frozen
        return values

    def _frozen(self) -> np.ndarray:
        return np.array([not any(v.trainable for v in row.variables) for row in self.rows])


@dataclasses.dataclass
class Request:
    """A quantity that a meter has to measure.

    Attributes:
        quantity: The quantity.
        former: The slots that have kept its state so far, one in each meter; `None` if it begins
            anew.
        readers: The readers that use it.
    """

    quantity: StepQuantity
    former: tuple[Any, ...] | None
    readers: list[Reader]


def requests_of(
    readers: Sequence[Reader], former: Callable[[Reader, StepQuantity], tuple[Any, ...] | None]
) -> tuple[list[Request], list[list[int]]]:
    """Finds the quantities that a meter has to measure for its readers.

    Readers share a quantity if its state is the same for them: it stems from the same updates, and
    is not reset with each record (`window`), since their records may end at different updates.

    Args:
        readers: The readers.
        former: A function of a reader and a quantity that returns the slots that have kept the
            quantity's state for this reader so far; `None` if it begins anew, or has no state.

    Returns:
        The requests, one for each slot; and for each reader the slots of its own quantities.
    """
    requests: list[Request] = []

    def slot_of(reader: Reader, quantity: StepQuantity) -> int:
        slots = former(reader, quantity)
        for number, request in enumerate(requests):
            shared = same(quantity, request.quantity) and slots == request.former
            if shared and not quantity.window:
                request.readers.append(reader)
                return number
        requests.append(Request(quantity, slots, [reader]))
        return len(requests) - 1

    return requests, [[slot_of(reader, each) for each in reader.quantities] for reader in readers]
