"""What one reader of a meter has not taken yet, layer by layer, on the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.layers import TrackedLayer


@dataclasses.dataclass
class Reading:
    """What was read of a meter.

    Attributes:
        sums: For each quantity, by its place in the meter, an array (variables, numbers).
        updates: How many updates were measured.
        updates_of: For each group of variables, in how many of them it took part.
        nonfinite: How many updates had a gradient that is not finite.
        since_nonfinite: Updates since the first of those, itself included; 0 where there is none.
        skipped: Steps that a loss scaler left out.
        lost: Updates whose own numbers were overwritten before they were read.
        each: For each quantity, an array (updates, variables, numbers) of the updates' own
            numbers; NaN for those that were lost. Empty where they are not kept.
        taking_part: For each update, which variables had a gradient: (updates, variables).
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
        values: For each quantity, one number a row.
        each: For each quantity, an array (updates, rows), where each update's numbers are kept.
        updates: How many updates it is of.
        updates_of: For each row, how many of them were its own.
        nonfinite: How many updates had a gradient that is not finite.
        since_nonfinite: Updates since the first of those, itself included; 0 where there is none.
        skipped: Steps that a loss scaler left out.
        lost: Updates whose own numbers were overwritten before they were read.
    """

    values: dict[str, np.ndarray]
    each: dict[str, np.ndarray]
    updates: int
    updates_of: np.ndarray
    nonfinite: int
    since_nonfinite: int
    skipped: int
    lost: int


class Reader:
    """Gathers what a meter has measured for some rows until it is taken.

    Args:
        quantities: What to read.
        rows: The layers, or groups of layers.
        ring_rows: How many updates' own numbers the meter is to keep between two drains; 0 for
            none.
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
        self._empty()

    def _empty(self) -> None:
        self._sums: list[Any] = [0.0] * len(self.quantities)
        self._updates_of = np.zeros(len(self.rows), "int64")
        self.updates = self.skipped = 0
        self._nonfinite = self._since_nonfinite = self._lost = 0
        self._each: list[list[np.ndarray]] = [[] for _ in self.quantities]

    def add(self, reading: Reading, slots: Sequence[int], places: Sequence[frozenset[int]]) -> None:
        """Adds what a meter has just read.

        Args:
            reading: What was read.
            slots: The place of each quantity in the meter.
            places: The places of each row's variables in the meter.
        """
        order = [sorted(row) for row in places]
        for number, slot in enumerate(slots):
            sums = [reading.sums[slot][row].sum(axis=0) for row in order]
            self._sums[number] = self._sums[number] + np.stack(sums)
            if self.ring_rows:
                self._each[number].append(self._each_of(number, slot, reading, order))
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
        """Returns each update's own value of each row; NaN where the row took no part."""
        assert reading.taking_part is not None
        numbers = np.stack([reading.each[slot][:, row].sum(axis=1) for row in order], axis=1)
        own = np.stack([reading.taking_part[:, row].any(axis=1) for row in order], axis=1)
        values = self.quantities[number].results(numbers, own.astype("int64"))
        return np.where(own, values, np.nan)

    def take(self) -> Taken:
        """Returns what has been gathered and starts anew."""
        taken = self.look()
        self._empty()
        return taken

    def look(self) -> Taken:
        """Returns what has been gathered."""
        with np.errstate(all="ignore"):
            values = {
                quantity.name: self._values(quantity, sums)
                for quantity, sums in zip(self.quantities, self._sums, strict=True)
            }
        none = np.zeros((0, len(self.rows)))
        each = {
            quantity.name: np.concatenate([none, *parts])
            for quantity, parts in zip(self.quantities, self._each, strict=True)
        }
        return Taken(
            values=values,
            each=each if self.ring_rows else {},
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
            values[moved] = quantity.results(sums[moved], self._updates_of[moved])
            values[~moved & self._frozen()] = quantity.of_frozen
        return values

    def _frozen(self) -> np.ndarray:
        return np.array([not any(v.trainable for v in row.variables) for row in self.rows])


def requested_by(readers: Sequence[Reader]) -> list[StepQuantity]:
    """Returns what readers ask for: each quantity once, one that begins anew once a reader."""
    requested: list[StepQuantity] = []
    for reader in readers:
        for quantity in reader.quantities:
            if quantity.window or not any(same(quantity, other) for other in requested):
                requested.append(quantity)
    return requested


def slots_of(reader: Reader, requested: Sequence[StepQuantity]) -> list[int]:
    """Returns where each quantity of a reader stands among those requested."""
    return [
        next(
            slot
            for slot, other in enumerate(requested)
            if other is quantity or (not quantity.window and same(quantity, other))
        )
        for quantity in reader.quantities
    ]


def same(one: StepQuantity, other: StepQuantity) -> bool:
    """Whether two quantities measure the same: of one class, with equal attributes."""
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(vars(one) == vars(other))
    except ValueError:  # attributes that are arrays do not say whether they are equal
        return False
