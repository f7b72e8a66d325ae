"""The meters of one model, and which of their numbers each reader gets."""

from __future__ import annotations

import dataclasses
import functools
import weakref
from collections.abc import Sequence

import keras

from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.meter import Meter
from keras_lcb.training.reader import Reader, Request, requests_of
from keras_lcb.training.slot import Slot


@dataclasses.dataclass
class _Wire:
    """Connects a reader to the meters: the slots of its quantities and the places of its rows."""

    slots: list[int]
    places: list[frozenset[int]]


class Measurement:
    """Chooses the meters of a model for its readers, and passes their numbers on."""

    def __init__(self) -> None:
        self.meters: list[Meter] = []
        # Weak, so that a reader, with all that it has collected, goes with its callback.
        self._wires: weakref.WeakKeyDictionary[Reader, _Wire] = weakref.WeakKeyDictionary()
        self._undrained = 0  # executions since the meters were last read
        self._most_at_once = 0  # the most updates seen in one execution; 0 if unknown

    def choose(
        self,
        model: keras.Model,
        readers: Sequence[Reader],
        count: int,
        known: Sequence[list[Meter]],
    ) -> None:
        """Chooses meters for readers: known ones if they suffice, otherwise new ones.

        Args:
            model: The model.
            readers: The readers; none for no meters.
            count: How many meters; more than one on JAX, where each optimizer has its own.
            known: Meters that were chosen before, besides the present ones.

        Raises:
            ValueError: If several meters are to keep single updates in order.
        """
        known = [self.meters, *known]
        self.meters = []
        self._wires.clear()
        if readers:
            self._choose(model, readers, count, known)

    def _choose(
        self,
        model: keras.Model,
        readers: Sequence[Reader],
        count: int,
        known: Sequence[list[Meter]],
    ) -> None:
        layers = [layer.variables for layer in tracked_layers(model).layers]
        variables = [variable for layer in layers for variable in layer]
        known = [
            meters
            for meters in known
            if len(meters) == count and all(meter.follows(variables) for meter in meters)
        ]
        requests, slots = requests_of(readers, functools.partial(_former, known))
        groups = self._connect(readers, slots, variables)
        ring_rows = _ring_rows(readers, count)
        needed = [request.quantity for request in requests], groups, ring_rows
        suitable = (
            meters
            for meters in known
            if all(meter.serves(*needed) for meter in meters) and _in_place(requests, meters)
        )
        self.meters = next(suitable, []) or [Meter(model, layers, *needed) for _ in range(count)]
        for number, request in enumerate(requests):
            former = request.former or [None] * count
            for meter, slot in zip(self.meters, former, strict=True):
                meter.slots[number].go_on(request.readers, slot)

    def _connect(
        self,
        readers: Sequence[Reader],
        slots: Sequence[list[int]],
        variables: Sequence[keras.Variable],
    ) -> list[frozenset[int]]:
        """Connects readers to their slots, and returns the places of all their rows."""
        at = {id(variable): place for place, variable in enumerate(variables)}
        for reader, own in zip(readers, slots, strict=True):
            places = [frozenset(at[id(v)] for v in row.variables) for row in reader.rows]
            self._wires[reader] = _Wire(own, places)
        return [group for wire in self._wires.values() for group in wire.places]

    def pass_on(self, set_back: bool) -> None:
        """Reads the meters, and passes the numbers on to the readers.

        Args:
            set_back: Whether to set the sums of the meters to zero afterwards.
        """
        drained = [meter.drain(set_back) for meter in self.meters]
        readings = [reading for reading in drained if reading is not None]
        for reading in readings:
            for reader, wire in self._wires.items():
                reader.add(reading, wire.slots, wire.places)
        if self._undrained:
            updates = sum(reading.updates for reading in readings)
            self._most_at_once = max(self._most_at_once, -(-updates // self._undrained), 1)
            self._undrained = 0

    def is_full_after_next(self, expected: int) -> bool:
        """Notes an execution; returns whether the next may overwrite values of single updates.

        Args:
            expected: The most updates in one execution, if each batch makes one. Training steps of
                the user's own may make more: what was seen counts, too.
        """
        rows = self.meters[0].ring_rows if self.meters else 0
        self._undrained += 1
        most = max(self._most_at_once, expected) if self._most_at_once else rows
        return bool(rows and (self._undrained + 1) * most > rows)

    def begin_windows(self, reader: Reader) -> None:
        """Resets those quantities of a reader whose state starts anew with each record."""
        slots = self._wires[reader].slots if reader in self._wires else []
        for slot, quantity in zip(slots, reader.quantities, strict=False):
            if quantity.window:
                for meter in self.meters:
                    meter.slots[slot].begin()

    def begin(self) -> None:
        """Sets all meters back to where they began."""
        for meter in self.meters:
            meter.begin()


def _ring_rows(readers: Sequence[Reader], count: int) -> int:
    """Returns how many single updates each of `count` meters has to keep."""
    ring_rows = max(reader.ring_rows for reader in readers)
    if count > 1 and ring_rows:
        raise ValueError(
            f"On JAX, `per_update=True` can follow one optimizer only; received {count}. Each "
            "optimizer is measured separately there, so the order of their updates is not "
            "known. Leave `per_update` out, or pass a single `optimizer`."
        )
    return ring_rows


def _former(
    known: Sequence[list[Meter]], reader: Reader, quantity: StepQuantity
) -> tuple[Slot, ...] | None:
    """Returns the slots that have kept a quantity's state for a reader, one in each meter."""
    for meters in known:
        for slots in zip(*(meter.slots for meter in meters), strict=True):
            has_state = any(slots[0].state)
            if has_state and reader in slots[0].readers and slots[0].measures(quantity):
                return slots
    return None


def _in_place(requests: Sequence[Request], meters: Sequence[Meter]) -> bool:
    """Returns whether no state would have to move from one slot of these meters to another."""
    own = list(zip(*(meter.slots for meter in meters), strict=True))
    return all(
        request.former in (None, slots) or request.former not in own
        for request, slots in zip(requests, own, strict=True)
    )
