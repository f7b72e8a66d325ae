"""Sums of squared gradients and updates, kept on the device and read seldom.

The meter knows nothing of optimisers: something that sees gradients and weights (a tap) feeds it
from inside the compiled training step, and the host drains it when a record is due.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.training import ops

RING_ROWS = 1024


@dataclasses.dataclass(eq=False)
class Window:
    """What one reader has not taken yet: sums over the updates since its last record.

    Attributes:
        gradient_squares: Σ‖∇θ_v‖² for each variable v.
        update_squares: Σ‖Δθ_v‖² for each variable v.
        updates: How many updates were measured.
        nonfinite: How many of them had a non-finite gradient.
        since_nonfinite: Updates since the first of those, itself included; 0 where there is none.
        skipped: Steps that a loss scaler left out.
        lost: Updates whose own norms were overwritten before they were read.
        rows: For each drain, an array (updates, 2, variables) of squared norms, where each
            update's are kept.
    """

    gradient_squares: np.ndarray
    update_squares: np.ndarray
    updates: int = 0
    nonfinite: int = 0
    since_nonfinite: int = 0
    skipped: int = 0
    lost: int = 0
    rows: list[np.ndarray] = dataclasses.field(default_factory=list)

    def add(self, reading: Window) -> None:
        """Adds what a meter has just read."""
        self.gradient_squares = self.gradient_squares + reading.gradient_squares
        self.update_squares = self.update_squares + reading.update_squares
        if self.since_nonfinite:
            self.since_nonfinite += reading.updates
        else:
            self.since_nonfinite = reading.since_nonfinite
        self.updates += reading.updates
        self.nonfinite += reading.nonfinite
        self.skipped += reading.skipped
        self.lost += reading.lost
        self.rows.extend(reading.rows)

    def take(self) -> Window:
        """Returns what has been gathered and starts anew."""
        taken = dataclasses.replace(self)
        fresh = Window(np.zeros_like(self.gradient_squares), np.zeros_like(self.update_squares))
        vars(self).update(vars(fresh))
        return taken


class NormMeter:
    """Accumulates squared norms of gradients and updates, one number a variable.

    Args:
        variables: The variables to follow; a variable's place here is its index everywhere.
        ring_rows: How many updates are kept one by one between two drains; 0 for none.
    """

    def __init__(self, variables: Sequence[Any], ring_rows: int = 0) -> None:
        self.count = len(variables)
        self.with_gradient: set[int] = set()
        self._index = {id(variable): place for place, variable in enumerate(variables)}
        self._windows: weakref.WeakSet[Window] = weakref.WeakSet()
        self._gradients = _state(ops.total_shape(self.count), ops.ACCUMULATOR_DTYPE, "gradients")
        self._updates = _state(ops.total_shape(self.count), ops.ACCUMULATOR_DTYPE, "updates")
        # Updates; those with finite gradients; those before the first without.
        self._counts = _state((3,), "int32", "counts")
        self.skipped = _state((), "int32", "skipped")
        self._ring = None
        if ring_rows:
            self._ring = _state((ring_rows, 2, self.count), "float32", "ring")

    @property
    def variables(self) -> list[keras.Variable]:
        """The meter's own state on the device."""
        state = [self._gradients, self._updates, self._counts, self.skipped]
        return state if self._ring is None else [*state, self._ring]

    @property
    def ring_rows(self) -> int:
        """How many updates are kept one by one between two drains."""
        return 0 if self._ring is None else int(self._ring.shape[0])

    def window(self) -> Window:
        """A new reader of this meter."""
        window = Window(np.zeros(self.count), np.zeros(self.count))
        self._windows.add(window)
        return window

    @property
    def windows(self) -> list[Window]:
        """The readers."""
        return list(self._windows)

    def attach(self, window: Window) -> None:
        """Has the meter feed a window that was opened on another meter of the same variables."""
        self._windows.add(window)

    # In the training step.

    def add_gradients(self, variables: Sequence[Any], gradients: Sequence[Any]) -> None:
        """Takes the gradients of one update; no variable may come twice."""
        places = [self._index.get(id(variable)) for variable in variables]
        known = [place for place in places if place is not None]
        if not known:
            return
        self.with_gradient.update(known)
        squares = ops.squared_norms(
            [g for g, place in zip(gradients, places, strict=True) if place is not None]
        )
        squares = self._spread(squares, known)
        ops.accumulate(self._gradients, squares)
        if self._ring is not None:
            row = ops.read([self._counts])[0][0] % self.ring_rows
            ops.write_row(
                self._ring, row, keras.ops.stack([squares, keras.ops.zeros_like(squares)])
            )
        # The sum so far stays non-finite once it is, and so tells how long ago that began.
        sums = [keras.ops.sum(squares), keras.ops.sum(ops.total_value(self._gradients.value))]
        finite = keras.ops.isfinite(keras.ops.stack([keras.ops.zeros_like(sums[0]), *sums]))
        self._counts.assign_add(keras.ops.cast(finite, "int32"))

    def add_updates(
        self, variables: Sequence[Any], before: Sequence[Any], after: Sequence[Any]
    ) -> None:
        """Takes the weights before and after one update."""
        triples = [
            (place, b, a)
            for place, b, a in zip(
                (self._index.get(id(variable)) for variable in variables),
                before,
                after,
                strict=True,
            )
            if place is not None
        ]
        if not triples:
            return
        places, befores, afters = zip(*triples, strict=True)
        squares = self._spread(ops.squared_norms(ops.differences(afters, befores)), places)
        ops.accumulate(self._updates, squares)
        if self._ring is not None:
            row = (keras.ops.convert_to_tensor(self._counts)[0] - 1) % self.ring_rows
            # Not `ring[row]`: XLA in TensorFlow 2.21 then reads a count from before a `tf.cond`.
            known = keras.ops.take(self._ring, row, axis=0)
            squares = keras.ops.cast(squares, known.dtype)
            # Added, since a step that only accumulates comes back to the last update's row.
            ops.write_row(self._ring, row, keras.ops.stack([known[0], known[1] + squares]))

    def add_skipped(self) -> None:
        """Takes note of a step that was left out."""
        self.skipped.assign_add(1)

    def _spread(self, values: Any, places: Sequence[int]) -> Any:
        """Puts `values` at their places among all variables, zeros elsewhere."""
        if list(places) == list(range(self.count)):
            return values
        source = np.full(self.count, len(places), dtype="int32")
        source[list(places)] = np.arange(len(places))
        padded = keras.ops.concatenate([values, keras.ops.zeros_like(values[:1])])
        return keras.ops.take(padded, source)

    # On the host.

    def drain(self) -> None:
        """Reads the device's sums into every window and sets them back to zero."""
        counts = ops.on_host(self._counts)
        skipped = int(ops.on_host(self.skipped))
        updates = int(counts[0])
        if not updates and not skipped:
            return
        reading = Window(
            gradient_squares=_total(self._gradients),
            update_squares=_total(self._updates),
            updates=updates,
            nonfinite=updates - int(counts[1]),
            since_nonfinite=updates - int(counts[2]),
            skipped=skipped,
        )
        if self._ring is not None:
            reading.lost = max(0, updates - self.ring_rows)
            reading.rows.append(self._read_ring(updates, reading.lost))
        for variable in (self._gradients, self._updates, self._counts, self.skipped):
            ops.clear(variable)
        for window in self.windows:
            window.add(reading)

    def _read_ring(self, updates: int, lost: int) -> np.ndarray:
        """Each update's squared norms, oldest first; NaN where the ring has been overwritten."""
        ring = ops.on_host(self._ring).astype("float64")
        order = np.arange(lost, updates) % self.ring_rows
        return np.concatenate([np.full((lost, 2, self.count), np.nan), ring[order]])


def _state(shape: tuple[int, ...], dtype: str, name: str) -> keras.Variable:
    return keras.Variable(
        np.zeros(shape, dtype), dtype=dtype, trainable=False, autocast=False, name=f"tap_{name}"
    )


def _total(variable: keras.Variable) -> np.ndarray:
    return np.array(ops.total_value(ops.on_host(variable)), dtype="float64")
