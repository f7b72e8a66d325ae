"""What a `LayerwiseModel` logs: an epoch's norms, kept and evaluated on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.training import ops
from keras_lcb.training.layers import TrackedLayer
from keras_lcb.training.meter import NormMeter


class EpochNorms(NormMeter):
    """A meter that is read layer by layer within the training step.

    Args:
        layers: The layers to follow.
    """

    def __init__(self, layers: Sequence[TrackedLayer]) -> None:
        super().__init__([variable for layer in layers for variable in layer.variables])
        self.layers = layers
        sizes = [len(layer.variables) for layer in layers]
        self._rows = range(len(layers))
        self._layer_of_place = np.repeat(self._rows, sizes)
        self._known_members: dict[tuple[int, ...], np.ndarray] = {}
        self._ratios = _sums(len(layers), "ratios")  # of (‖Δθ‖/‖θ‖)², one a layer
        self._changes = _sums(2 * len(layers), "changes")  # relative changes, then cosines
        self._compared = keras.Variable(
            np.zeros((), "int32"), dtype="int32", trainable=False, name="tap_compared"
        )

    @property
    def variables(self) -> list[keras.Variable]:
        """The meter's own state on the device."""
        return [self._gradients, self._counts, self._ratios, self._changes, self._compared]

    def reset(self) -> None:
        """Begins a new epoch."""
        for variable in self.variables:
            ops.clear(variable)

    # In the training step.

    def add_updates(
        self, variables: Sequence[Any], before: Sequence[Any], after: Sequence[Any]
    ) -> None:
        """Takes the weights before and after one update."""
        places = [self._index[id(variable)] for variable in variables]
        moved = self._by_layer(ops.squared_norms(ops.differences(after, before)), places)
        weights = self._by_layer(ops.squared_norms(before), places)
        # From all zeros there is no relative change: such an update counts as none.
        known = weights > 0
        ratios = keras.ops.where(known, moved / keras.ops.where(known, weights, 1.0), 0.0)
        ops.accumulate(self._ratios, ratios)

    def add_changes(self, changes: Any, cosines: Any) -> None:
        """Takes how each layer's gradient changed after a step along it."""
        both = keras.ops.concatenate([changes, cosines])
        ops.accumulate(self._changes, keras.ops.cast(both, ops.ACCUMULATOR_DTYPE))
        self._compared.assign_add(1)

    def logs(self) -> dict[str, Any]:
        """RMS norms and ratios over the updates since the last reset, as scalars."""
        updates = keras.ops.convert_to_tensor(self._counts)[0]
        places = range(self.count)
        gradients = keras.ops.sqrt(self._by_layer(_total(self._gradients), places) / _as(updates))
        reached = {int(self._layer_of_place[place]) for place in self.with_gradient}
        return {
            **self._named("gradient_norm", gradients, reached),
            **self._named("update_ratio", keras.ops.sqrt(_total(self._ratios) / _as(updates))),
        }

    def change_logs(self) -> dict[str, Any]:
        """Means of the relative changes and cosines of the gradients, as scalars."""
        count = len(self.layers)
        means = _total(self._changes) / _as(keras.ops.convert_to_tensor(self._compared))
        reached = {int(self._layer_of_place[place]) for place in self.with_gradient}
        return {
            **self._named("relative_gradient_change", means[:count], reached),
            **self._named("gradient_cosine", means[count:], reached),
        }

    def _by_layer(self, values: Any, places: Sequence[int]) -> Any:
        """Adds up what belongs to variables into sums over layers."""
        padded = keras.ops.concatenate([values, keras.ops.zeros_like(values[:1])])
        return keras.ops.sum(keras.ops.take(padded, self._members(tuple(places))), axis=1)

    def _members(self, places: tuple[int, ...]) -> np.ndarray:
        """For each layer, where its variables stand among `places`; past the end for none."""
        if places not in self._known_members:
            found = [np.flatnonzero(self._layer_of_place[list(places)] == at) for at in self._rows]
            members = np.full((len(found), max(map(len, found))), len(places), "int32")
            for row, where in zip(members, found, strict=True):
                row[: len(where)] = where
            self._known_members[places] = members
        return self._known_members[places]

    def _named(self, kind: str, values: Any, known: set[int] | None = None) -> dict[str, Any]:
        values = keras.ops.unstack(keras.ops.cast(values, "float32"), num=len(self.layers))
        nothing = keras.ops.full((), np.nan, "float32")
        return {
            f"{kind}/{layer.name}": value if known is None or place in known else nothing
            for place, (layer, value) in enumerate(zip(self.layers, values, strict=True))
        }


def _sums(count: int, name: str) -> keras.Variable:
    shape = ops.total_shape(count)
    return keras.Variable(
        np.zeros(shape, ops.ACCUMULATOR_DTYPE),
        dtype=ops.ACCUMULATOR_DTYPE,
        trainable=False,
        autocast=False,
        name=f"tap_{name}",
    )


def _total(variable: keras.Variable) -> Any:
    return ops.total_value(keras.ops.convert_to_tensor(variable))


def _as(count: Any) -> Any:
    return keras.ops.cast(count, ops.ACCUMULATOR_DTYPE)
