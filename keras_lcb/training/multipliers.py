"""Layer-wise learning rates: which factor applies to which layer."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, MutableMapping

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.training.layers import TrackedLayer, is_complete, tracked_layers
from keras_lcb.training.selection import matching
from keras_lcb.training.tap import tap_of


class LearningRateMultipliers(MutableMapping[str, float]):
    """Factors by layer name or prefix; layers without one have the factor 1.

    A longer name goes before a shorter one: with `{"block1": 0.5, "block1/conv": 0.1}` all layers
    of `block1` have 0.5, except `block1/conv`. Names are checked as soon as the model is built.
    Assigning takes effect from the next update on, in the midst of training too. It compiles
    nothing anew, the first factor other than 1 excepted.

    Args:
        model: The model whose layers are named.
        factors: The factors to begin with.

    Example:
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> factors = LearningRateMultipliers(model, {"lin": 0.5})
    >>> factors["lin"]
    0.5
    """

    def __init__(self, model: keras.Model, factors: Mapping[str, float] | None = None) -> None:
        self._model = model
        self._factors: dict[str, float] = {}
        self._on_device: keras.Variable | None = None
        self.update(factors or {})

    def __getitem__(self, name: str) -> float:
        """The factor set for a name, or the one that applies to the layers of that name.

        Raises:
            ValueError: If no layer is called so, or its layers have different factors.
        """
        if name in self._factors:
            return self._factors[name]
        known = self._covered(name)
        found = {
            float(factor) for factor, inside in zip(self.by_layer(), known, strict=True) if inside
        }
        if len(found) != 1:
            raise ValueError(
                f"The layers of '{name}' have different factors; ask for one of them. "
                f"Factors are set for: {', '.join(self._factors)}."
            )
        return found.pop()

    def __setitem__(self, name: str, factor: float) -> None:
        """Sets a factor.

        Raises:
            ValueError: If no layer is called so, or the factor is negative or not finite.
        """
        if (
            not isinstance(factor, numbers.Real)
            or isinstance(factor, bool)
            or not math.isfinite(factor)
            or factor < 0
        ):
            raise ValueError(
                f"The learning rate multiplier of '{name}' must be a finite number, 0 or more; "
                f"received {factor!r}."
            )
        if is_complete(self._model):
            self._covered(name)
        self._factors[name] = float(factor)
        self._transfer()

    def __delitem__(self, name: str) -> None:
        """Takes a factor back."""
        del self._factors[name]
        self._transfer()

    def __contains__(self, name: object) -> bool:
        """Whether a factor is set for a name."""
        return name in self._factors

    def __iter__(self) -> Iterator[str]:
        """The names for which a factor is set."""
        return iter(self._factors)

    def __len__(self) -> int:
        """How many factors are set."""
        return len(self._factors)

    def __repr__(self) -> str:
        return f"LearningRateMultipliers({self._factors})"

    def replace(self, factors: Mapping[str, float]) -> None:
        """Sets these factors and no others."""
        before, self._factors = self._factors, {}
        try:
            self.update(factors)
        except ValueError:
            self._factors = before
            raise
        self._transfer()

    def restore(self, factors: Mapping[str, float]) -> None:
        """Sets factors that were saved, whose names are checked only when training begins."""
        self._factors = {str(name): float(factor) for name, factor in factors.items()}
        self._transfer()

    def by_layer(self) -> np.ndarray:
        """The factor of each layer that owns weights: those that train, then the others.

        Raises:
            ValueError: If a name fits no layer.
        """
        factors = np.ones(len(self._layers()), "float32")
        for name in sorted(self._factors, key=len):
            factors[self._covered(name)] = self._factors[name]
        return factors

    def are_set(self) -> bool:
        """Whether any factor differs from 1."""
        return any(factor != 1 for factor in self._factors.values())

    def to_device(self) -> keras.Variable:
        """A variable that holds the factors by layer from now on, for the compiled step."""
        factors = self.by_layer()
        new = ops.VariableMaker(self._model)
        self._on_device = new.zeros(factors.shape, "float32", "multipliers")
        self._on_device.assign(factors)
        return self._on_device

    def _layers(self) -> list[TrackedLayer]:
        order = tracked_layers(self._model)
        return [*order.layers, *order.others]

    def _covered(self, name: str) -> np.ndarray:
        layers = self._layers()
        members = set(map(id, matching(layers, name)))
        return np.array([id(layer) in members for layer in layers])

    def _transfer(self) -> None:
        if self._on_device is not None:
            factors = self.by_layer()
            tap_of(self._model).settle()
            self._on_device.assign(factors)
