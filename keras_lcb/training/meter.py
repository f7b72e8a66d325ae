"""Sums of what is measured at each update. They stay on the device and are read seldom.

A meter does not know optimizers. `Feed` calls it from inside the training step with gradients and
weights, and the host reads it when a record is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.quantities.gradient_norm import GradientNorm
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.reader import Reading
from keras_lcb.training.slot import Slot
from keras_lcb.training.trial import called

RING_ROWS = 1024


class Meter:
    """Adds up the numbers of several quantities over updates, for each variable.

    The *place* of a variable is its index among all variables of all layers. The *slot* of a
    quantity is its index among the quantities.

    Args:
        model: The model. The sums are kept on its devices.
        layers: The variables of each layer to follow.
        quantities: What to measure.
        groups: Sets of places. For each group, the meter counts the updates in which at least one
            of its variables had a gradient. Defaults to none.
        ring_rows: How many updates are kept individually between two drains. Defaults to 0.

    Raises:
        ValueError: If a quantity cannot be traced.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[Sequence[keras.Variable]],
        quantities: Sequence[StepQuantity],
        groups: Sequence[frozenset[int]] = (),
        ring_rows: int = 0,
    ) -> None:
        self.followed = variables = [variable for layer in layers for variable in layer]
        self._layer_of = [number for number, layer in enumerate(layers) for _ in layer]
        self.quantities = list(quantities)
        self.groups = list(dict.fromkeys(groups))
        self.ring_rows = ring_rows
        self._index = {id(variable): place for place, variable in enumerate(variables)}
        # Each set of places that had gradients together in an update gets a number.
        self._taking_part: dict[frozenset[int], int] = {}
        self.slots = [Slot(model, quantity, variables) for quantity in quantities]
        self.needs_weights = any(quantity.needs_weights for quantity in quantities)
        ends = np.cumsum([0, *(slot.numbers for slot in self.slots)])
        self._columns = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        count, width = len(self.followed), int(ends[-1])
        new = ops.VariableMaker(model)
        self._sums = new.zeros(ops.total_shape((width, count)), ops.ACCUMULATOR_DTYPE, "sums")
        # First the number of all updates, then the number for each group.
        self._counts = new.zeros((1 + len(self.groups),), "int32", "counts")
        # For each number, row 0 counts the updates in which it was finite, and row 1 counts the
        # updates before the first one in which it was not.
        self._finite = new.zeros((2, width), "int32", "finite")
        self.skipped = new.zeros((), "int32", "skipped")
        self._read: list[Any] | None = None  # the last reading, if it did not reset the sums
        # Each row holds the number of the set of places that had gradients, then all numbers.
        self._ring = None
        if ring_rows:
            shape = (ring_rows, 1 + count * width)
            self._ring = new.zeros(shape, ops.ACCUMULATOR_DTYPE, "ring")

    @property
    def variables(self) -> list[keras.Variable]:
        """The meter's own state on the device."""
        own = [self._sums, self._counts, self._finite, self.skipped]
        own += [] if self._ring is None else [self._ring]
        return own + [v for slot in self.slots for state in slot.state for v in state]

    def places(self, variables: Sequence[keras.Variable]) -> frozenset[int]:
        """Returns the places of variables. Variables that are not followed are left out."""
        known = (self._index.get(id(variable)) for variable in variables)
        return frozenset(place for place in known if place is not None)

    # In the training step.

    def add(
        self,
        variables: Sequence[keras.Variable],
        gradients: Sequence[Any],
        before: Sequence[Any] | None,
        after: Sequence[Any] | None,
    ) -> None:
        """Measures one update.

        Args:
            variables: The variables that had gradients, each once.
            gradients: Their effective gradients.
            before: Their values before the update; `None` unless `needs_weights`.
            after: Their values after the update; `None` unless `needs_weights`.
        """
        chosen = [at for at, v in enumerate(variables) if id(v) in self._index]
        if not chosen:
            return
        places = [self._index[id(variables[at])] for at in chosen]
        numbers, states = self._numbers(
            places,
            [gradients[at] for at in chosen],
            None if before is None else [before[at] for at in chosen],
            None if after is None else [after[at] for at in chosen],
        )
        # If there turns out to be no batch, nothing may have been counted.
        with ops.after(numbers):
            for variable, value in states:
                variable.assign(value)
            self._add_up(places, self._spread(numbers, places))

    def _add_up(self, places: Sequence[int], numbers: Any) -> None:
        """Adds numbers (numbers, all places) to the sums, and counts an update."""
        total = ops.accumulate(self._sums, numbers)
        # Once a sum is not finite, it stays so. Thus counting finite sums counts the updates
        # before the first non-finite one.
        both = keras.ops.sum(keras.ops.stack([numbers, total]), axis=2)
        self._finite.assign_add(keras.ops.cast(keras.ops.isfinite(both), "int32"))
        taking_part = frozenset(places)
        number = self._taking_part.setdefault(taking_part, len(self._taking_part))
        if self._ring is not None:
            row = ops.read([self._counts])[0][0] % self.ring_rows
            head = keras.ops.full((1,), number, ops.ACCUMULATOR_DTYPE)
            ring_row = keras.ops.concatenate([head, keras.ops.reshape(numbers, (-1,))])
            ops.write_row(self._ring, row, ring_row)
        counted = [1, *(int(bool(group & taking_part)) for group in self.groups)]
        self._counts.assign_add(keras.ops.convert_to_tensor(counted, "int32"))

    def where(self, applied: Any, add: Callable[[], None]) -> None:
        """Calls `add`, and undoes its effects on the meter if `applied` is false."""
        ops.where(applied, add, self.variables)

    def skip(self) -> None:
        """Counts a step that a loss scaler skipped."""
        self.skipped.assign_add(1)

    def _numbers(
        self, places: Sequence[int], gradients: Sequence[Any], before: Any, after: Any
    ) -> tuple[Any, list[tuple[keras.Variable, Any]]]:
        """Returns the numbers of all quantities (numbers, places), and the values of new states."""
        dense = None
        columns: list[Any] = []
        assigned: list[tuple[keras.Variable, Any]] = []
        for slot in self.slots:
            quantity = slot.quantity
            if not quantity.takes_sparse:
                dense = [ops.dense(g) for g in gradients] if dense is None else dense
            states = [slot.state[place] for place in places]
            first, last = (before, after) if quantity.needs_weights else (None, None)
            new, numbers = called(
                quantity,
                quantity.update_all,
                [tuple(ops.read(state)) for state in states],
                dense if dense is not None and not quantity.takes_sparse else gradients,
                first,
                last,
                [self._layer_of[place] for place in places],
            )
            for variables, values in zip(states, new, strict=True):
                assigned.extend(zip(variables, values, strict=True))
            columns.extend(keras.ops.cast(column, ops.ACCUMULATOR_DTYPE) for column in numbers)
        return keras.ops.stack(columns), assigned

    def _spread(self, values: Any, places: Sequence[int]) -> Any:
        """Returns a column for each variable: those given at their places, zeros elsewhere."""
        count = len(self.followed)
        if list(places) == list(range(count)):
            return values
        source = np.full(count, len(places), dtype="int32")
        source[list(places)] = np.arange(len(places))
        padded = keras.ops.pad(values, ((0, 0), (0, 1)))
        return keras.ops.take(padded, source, axis=1)

    # On the host.

    @property
    def with_gradient(self) -> frozenset[int]:
        """The places of all variables that had a gradient in any update."""
        return frozenset[int]().union(*self._taking_part)

    def follows(self, variables: Sequence[keras.Variable]) -> bool:
        """Returns whether these are the variables that this meter follows."""
        return list(map(id, self.followed)) == list(map(id, variables))

    def serves(
        self,
        quantities: Sequence[StepQuantity],
        groups: Sequence[frozenset[int]],
        ring_rows: int,
    ) -> bool:
        """Returns whether this meter can be used in place of a new one with these arguments."""
        return (
            len(self.quantities) == len(quantities)
            and all(map(Slot.measures, self.slots, quantities))
            and set(groups) <= set(self.groups)
            and bool(ring_rows) == bool(self.ring_rows)
            and ring_rows <= self.ring_rows
        )

    def begin(self) -> None:
        """Sets the sums to zero."""
        for variable in (self._sums, self._counts, self._finite, self.skipped):
            ops.clear(variable)
        self._read = None

    def begin_anew(self) -> None:
        """Sets all variables to their initial values."""
        self.begin()
        if self._ring is not None:
            ops.clear(self._ring)
        for slot in self.slots:
            slot.begin()

    def drain(self, set_back: bool = True) -> Reading | None:
        """Reads what was added up since the last drain; `None` if there was no step.

        Args:
            set_back: Whether to set the sums to zero afterwards. If not, the next drain subtracts
                this reading. Defaults to `True`.
        """
        now = [
            ops.on_host(self._counts).astype("int64"),
            ops.on_host(self._finite).astype("int64"),
            ops.on_host(self.skipped).astype("int64"),
        ]
        before = self._read or [*map(np.zeros_like, now), 0.0]
        counts, finite, skipped = (a - b for a, b in zip(now, before[:3], strict=True))
        updates = int(counts[0])
        if not updates and not skipped:
            return None
        total = np.array(ops.total_value(ops.on_host(self._sums).astype("float64")))
        sums = (total - before[3]).T
        first = self._place_of_gradients
        reading = Reading(
            sums=[sums[:, columns] for columns in self._columns],
            updates=updates,
            updates_of=dict(zip(self.groups, counts[1:].tolist(), strict=True)),
            nonfinite=0 if first is None else updates - int(finite[0, first]),
            since_nonfinite=0 if first is None else updates - int(finite[1, first]),
            skipped=int(skipped),
        )
        if self._ring is not None:
            self._read_ring(reading, int(now[0][0]))
        if set_back:
            self.begin()
        else:
            self._read = [*now, total]
        return reading

    @property
    def _place_of_gradients(self) -> int | None:
        """The index of the squared gradient norm, which tells whether gradients are finite."""
        slots = [at for at, q in enumerate(self.quantities) if isinstance(q, GradientNorm)]
        return self._columns[slots[0]].start if slots else None

    def _read_ring(self, reading: Reading, last: int) -> None:
        """Adds the numbers of each single update to a reading, oldest first.

        They are NaN for updates that were overwritten.

        Args:
            reading: The reading to complete.
            last: How many updates there were since the sums were last set to zero.
        """
        ring = ops.on_host(self._ring).astype("float64")
        reading.lost = max(0, reading.updates - self.ring_rows)
        order = np.arange(last - reading.updates + reading.lost, last) % self.ring_rows
        count = len(self.followed)
        kept = ring[order]
        numbers = np.full((reading.updates, count, (kept.shape[1] - 1) // count), np.nan)
        shape = (len(kept), numbers.shape[2], count)
        numbers[reading.lost :] = kept[:, 1:].reshape(shape).transpose(0, 2, 1)
        took_part = np.zeros((len(self._taking_part), count), bool)
        for places, number in self._taking_part.items():
            took_part[number, list(places)] = True
        reading.taking_part = np.zeros((reading.updates, count), bool)
        reading.taking_part[reading.lost :] = took_part[kept[:, 0].astype("int64")]
        reading.each = [numbers[..., columns] for columns in self._columns]
