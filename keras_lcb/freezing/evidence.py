"""Tells when a layer has stopped changing, by its weights or its activations on a probe batch."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.freezing.similarity import gram, linear_cka
from keras_lcb.training.layers import TrackedLayer


class Evidence(Protocol):
    """A number for each unit that falls to 0 where the unit changes no more.

    Attributes:
        name: Of the number, in a run.
        long_name: Its meaning.
        threshold: Below which a unit counts as settled, unless a user says otherwise.
    """

    name: str
    long_name: str
    threshold: float

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Takes the units as they are at the beginning of the run."""

    def look(self) -> np.ndarray:
        """Returns the numbers for what happened since the last look; NaN for unknown."""

    def kept(self) -> dict[str, Any]:
        """Returns what the run's first record has to hold, for another process to go on with."""

    def recall(self, first: dict[str, Any]) -> None:
        """Takes that from the first record."""


class Movement:
    """How far the weights moved since the last look, over how far they are from the start.

    ‖θ(t) − θ(t′)‖₂ / ‖θ(t) − θ(0)‖₂, over all trainable variables of a unit. A unit that walks at
    random for n looks has about 1/√n, so it takes 100 of them to come down to 0.1; one that
    approaches an endpoint comes down much faster.
    """

    name = "movement"
    long_name = "movement in the last epoch relative to the way from the start"
    threshold = 0.1

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Copies the weights."""
        self._units = list(units)
        self._start = self._last = [_weights(unit) for unit in self._units]
        self._is_kept = False

    def look(self) -> np.ndarray:
        """Compares the weights with the last look's, and copies them."""
        now = [_weights(unit) for unit in self._units]
        moved = np.array([_distance(a, b) for a, b in zip(now, self._last, strict=True)])
        way = np.array([_distance(a, b) for a, b in zip(now, self._start, strict=True)])
        self._last = now
        with np.errstate(divide="ignore", invalid="ignore"):
            return moved / way

    def kept(self) -> dict[str, Any]:
        """Returns the weights at the start, once."""
        if self._is_kept:
            return {}
        self._is_kept = True
        return {f"start/{n}/{k}": v for n, w in enumerate(self._start) for k, v in enumerate(w)}

    def recall(self, first: dict[str, Any]) -> None:
        """Takes the weights at the start."""
        self._start = [
            [first[f"start/{n}/{k}"] for k in range(len(weights))]
            for n, weights in enumerate(self._start)
        ]


class RepresentationChange:
    """1 − linear CKA between what units make of a probe batch now and at the last look.

    Egeria (Wang and others 2023, "Egeria: Efficient DNN Training with Knowledge-Guided Layer
    Freezing") freezes layers by such a comparison too, with a reference model of its own.

    Args:
        model: The model.
        x: Inputs, one batch.
    """

    name = "representation_change"
    long_name = "1 - CKA with the activations an epoch ago"
    threshold = 0.01

    def __init__(self, model: keras.Model, x: Any) -> None:
        self._model, self._x = model, x

    def begin(self, units: Sequence[TrackedLayer]) -> None:
        """Takes the activations."""
        self._units = list(units)
        self._last = self._grams()

    def look(self) -> np.ndarray:
        """Compares the activations with the last look's."""
        now = self._grams()
        similar = [linear_cka(a, b) for a, b in zip(now, self._last, strict=True)]
        self._last = now
        return 1.0 - np.array(similar)

    def kept(self) -> dict[str, Any]:
        """Returns nothing: the model tells all."""
        return {}

    def recall(self, first: dict[str, Any]) -> None:
        """Has nothing to recall."""

    def _grams(self) -> list[np.ndarray]:
        """The Gram matrices of what each unit's last layer puts out, in evaluation mode."""
        internals.sync_state(self._model)
        layers = [unit.layers[-1] for unit in self._units]
        outputs: dict[int, Any] = {}
        with contextlib.ExitStack() as stack:
            for layer in layers:
                noted = {"call": _noting(layer, outputs)}
                stack.enter_context(internals.replaced(layer, noted))
            takes_training = internals.takes_training(self._model)
            self._model(self._x, **({"training": False} if takes_training else {}))
        return [gram(ops.on_host(outputs[id(layer)])) for layer in layers]


def _noting(layer: keras.Layer, outputs: dict[int, Any]) -> Any:
    call = layer.call

    def noted(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        outputs[id(layer)] = keras.tree.flatten(result)[0]
        return result

    return noted


def _weights(unit: TrackedLayer) -> list[np.ndarray]:
    return [ops.on_host(variable) for variable in unit.variables]


def _distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    pairs = zip(one, other, strict=True)
    return float(np.sqrt(sum(np.sum((a.astype("float64") - b) ** 2) for a, b in pairs)))
