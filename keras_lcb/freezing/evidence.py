"""Measures how much a layer changes, by its weights or by its activations on a probe batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.freezing.similarity import gram, linear_cka
from keras_lcb.training.call_trace import calls_noted
from keras_lcb.training.layers import TrackedLayer, plain_reason


class Evidence(Protocol):
    """Measures the change of each unit, which is 0 if the unit does not change at all.

    A unit is a layer, or a group of layers that freeze together.

    Attributes:
        name: The name of the measured change in a run.
        long_name: The meaning of the measured change.
        threshold: The default for the change below which a unit counts as settled.
    """

    name: str
    long_name: str
    threshold: float

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Stores the state of the units at the start of the run."""

    def renew(self) -> None:
        """Makes the present state the one with which the next `look` compares."""

    def look(self) -> np.ndarray:
        """Returns the change of each unit since the previous call; NaN if it is unknown."""

    def state(self) -> dict[str, Any]:
        """Returns what the first record must hold so that a new process can continue the run."""

    def restore(self, first: dict[str, Any]) -> None:
        """Restores the state from the first record."""


class Movement:
    """The movement of the weights since the previous look, relative to that since the start.

    It is ‖θ(t) − θ(t′)‖₂ / ‖θ(t) − θ(0)‖₂ over all trainable variables of a unit, where t′ is the
    time of the previous look. If the weights move in random directions, it is about 1/√n after n
    looks, and falls to 0.1 only after 100 looks. If they approach an endpoint, it falls faster.
    """

    name = "movement"
    long_name = "movement in the last epoch relative to the way from the start"
    threshold = 0.1

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Copies the weights."""
        self._units = list(units)
        self._start = self._last = [_weights(unit) for unit in self._units]
        self._is_kept = False

    def renew(self) -> None:
        """Copies the weights, but keeps those of the start."""
        self._last = [_weights(unit) for unit in self._units]

    def look(self) -> np.ndarray:
        """Compares the weights with those of the previous look, and copies them."""
        now = [_weights(unit) for unit in self._units]
        moved = np.array([_distance(a, b) for a, b in zip(now, self._last, strict=True)])
        way = np.array([_distance(a, b) for a, b in zip(now, self._start, strict=True)])
        self._last = now
        with np.errstate(divide="ignore"):  # after a way back to the start
            return np.divide(moved, way, out=np.zeros_like(moved), where=moved != 0)

    def state(self) -> dict[str, Any]:
        """Returns the weights at the start, but only in the first call."""
        if self._is_kept:
            return {}
        self._is_kept = True
        return {f"start/{n}/{k}": v for n, w in enumerate(self._start) for k, v in enumerate(w)}

    def restore(self, first: dict[str, Any]) -> None:
        """Restores the weights at the start."""
        self._start = [
            [first[f"start/{n}/{k}"] for k in range(len(weights))]
            for n, weights in enumerate(self._start)
        ]
        self._is_kept = True


class RepresentationChange:
    """1 − linear CKA between the activations on a probe batch now and at the previous look.

    Egeria (Wang et al. 2023, "Egeria: Efficient DNN Training with Knowledge-Guided Layer Freezing")
    also freezes layers by comparing activations, but with those of a separate reference model.

    Args:
        model: The model.
        x: The inputs of the probe batch.
    """

    name = "representation_change"
    long_name = "1 - CKA with the activations an epoch ago"
    threshold = 0.01

    def __init__(self, model: keras.Model, x: Any) -> None:
        self._model, self._x = model, x

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Computes the activations at the start."""
        self._units = list(units)
        self.renew()

    def renew(self) -> None:
        """Computes the present activations."""
        self._last = self._grams()

    def look(self) -> np.ndarray:
        """Compares the activations with those of the previous look."""
        now = self._grams()
        change = [_change(a, b) for a, b in zip(now, self._last, strict=True)]
        self._last = now
        return np.array(change)

    def state(self) -> dict[str, Any]:
        """Returns nothing, because the activations can be computed from the model again."""
        return {}

    def restore(self, first: dict[str, Any]) -> None:
        """Does nothing, because `state` is empty."""

    def _grams(self) -> list[np.ndarray]:
        """Returns the Gram matrix of the outputs of each unit's last layer, in evaluation mode."""
        internals.sync_state(self._model)
        outputs = _Outputs()
        layers = {id(layer): layer for unit in self._units for layer in unit.layers}
        with calls_noted(layers.values(), outputs):
            self._call_model()
        return [gram(ops.on_host(outputs.of_unit(unit))) for unit in self._units]

    def _call_model(self) -> None:
        takes_training = internals.takes_training(self._model)
        try:
            self._model(self._x, **({"training": False} if takes_training else {}))
        except Exception as error:  # any code may stand in a model's `call`
            shapes = [tuple(each.shape) for each in keras.tree.flatten(self._x)]
            raise ValueError(
                f"The model '{self._model.name}' cannot be called on `x`, the probe batch, with "
                f"shape {', '.join(map(str, shapes))}: {plain_reason(error)}. Pass inputs as the "
                "model takes them."
            ) from error


class _Outputs:
    """Collects the first output of each layer in a call of the model."""

    def __init__(self) -> None:
        self._of: dict[int, Any] = {}

    def enter(self, layer: keras.Layer) -> None:
        """Does nothing when a layer is called, because its outputs are not known yet."""

    def leave(self, layer: keras.Layer, inputs: Any, outputs: Any) -> None:
        """Stores the output when a layer returns."""
        self._of[id(layer)] = keras.tree.flatten(outputs)[0]

    def of_unit(self, unit: TrackedLayer) -> Any:
        """Returns the output of the unit's last layer that was called.

        Raises:
            ValueError: If none was called.
        """
        found = [self._of[id(layer)] for layer in unit.layers if id(layer) in self._of]
        if not found:
            raise ValueError(
                f"The activations of '{unit.name}' cannot be read, because the model does not call "
                "it on `x`. Choose `layers` without it, or leave out `x`."
            )
        return found[-1]


def _change(one: np.ndarray, other: np.ndarray) -> float:
    """Returns 1 − linear CKA; 0 also if the samples do not differ, neither before nor now."""
    return 0.0 if np.array_equal(one, other) else 1.0 - linear_cka(one, other)


def _weights(unit: TrackedLayer) -> list[np.ndarray]:
    return [ops.on_host(variable) for variable in unit.variables]


def _distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    pairs = zip(one, other, strict=True)
    return float(np.sqrt(sum(np.sum((a.astype("float64") - b) ** 2) for a, b in pairs)))
