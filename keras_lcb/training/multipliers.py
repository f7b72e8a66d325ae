"""Learning rates by layer: which factor applies to which layer."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.training.layers import TrackedLayer, is_complete, tracked_layers
from keras_lcb.training.selection import matching
from keras_lcb.training.tap import tap_of


class LearningRateMultipliers(MutableMapping[str, float]):
    """Factors of learning rates, by layer name or prefix; all other layers have the factor 1.

    A longer name overrides a shorter one: with `{"block1": 0.5, "block1/conv": 0.1}` all layers
    of `block1` have the factor 0.5, except `block1/conv`. Names are checked once the model is
    built. A new factor takes effect at the next update, also during training. The training step is
    compiled again only for the first factor other than 1.

    `factors[name]` is the factor that applies to the layers of that name, also if none is set for
    the name. All else goes by the names for which a factor is set, as in `collections.Counter`:
    `in`, iteration, `get`, `pop` and `setdefault`. So `factors.get("block1/conv", 1.0)` returns 1.0
    if a factor is set for `block1` only.

    Args:
        model: The model whose layers are named.
        factors: The initial factors. Defaults to none.

    Example:
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
    >>> factors = LearningRateMultipliers(model, {"lin": 0.5})
    >>> factors["lin"]
    0.5
    >>> factors.pop("lin"), factors["lin"], factors.get("lin")
    (0.5, 1.0, None)
    """

    def __init__(self, model: keras.Model, factors: Mapping[str, float] | None = None) -> None:
        self._model = model
        self._factors: dict[str, float] = {}
        self._on_device: keras.Variable | None = None
        self.update(factors or {})

    def __getitem__(self, name: str) -> float:
        """Returns the factor that is set for a name, or that applies to the layers of that name.

        Raises:
            ValueError: If no layer has this name, or the layers of this name have different
                factors.
        """
        if name in self._factors:
            return self._factors[name]
        known = self._covered(name)
        found = {
            float(factor) for factor, inside in zip(self.by_layer(), known, strict=True) if inside
        }
        if len(found) != 1:
            raise ValueError(
                f"The layers of '{name}' have different factors. Name a single layer. Factors are "
                f"set for: {', '.join(self._factors)}."
            )
        return found.pop()

    def __setitem__(self, name: str, factor: float) -> None:
        """Sets a factor.

        Raises:
            ValueError: If no layer has this name, or the factor is negative or not finite.
        """
        self.update({name: factor})

    def __delitem__(self, name: str) -> None:
        """Removes a factor.

        Raises:
            KeyError: If none is set for this name.
        """
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        """Returns whether a factor is set for a name."""
        return name in self._factors

    def __iter__(self) -> Iterator[str]:
        """Iterates over the names for which a factor is set."""
        return iter(self._factors)

    def __len__(self) -> int:
        """Returns how many factors are set."""
        return len(self._factors)

    def __repr__(self) -> str:
        return f"LearningRateMultipliers({self._factors})"

    def get(self, name: str, default: Any = None, /) -> Any:
        """Returns the factor that is set for a name, or the default if none is set."""
        return self._factors.get(name, default)

    def pop(self, name: str, /, *default: Any) -> Any:
        """Removes a factor, and returns it; returns the default, if given, if none is set."""
        factor = self._factors.pop(name, *default)
        self._transfer()
        return factor

    def setdefault(self, name: str, default: Any = None, /) -> Any:
        """Sets a factor if none is set for this name, and returns the one that is set then."""
        if name not in self._factors:
            self[name] = default
        return self._factors[name]

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Sets factors, given as to `dict.update`; none of them if one is refused.

        Raises:
            ValueError: If no layer has one of the names, or a factor is negative or not finite.
        """
        self._factors |= self._checked(dict(*args, **kwargs))
        self._transfer()

    def replace(self, factors: Mapping[str, float]) -> None:
        """Removes all factors, and sets these; changes nothing if one of them is refused."""
        self._factors = self._checked(factors)
        self._transfer()

    def restore(self, factors: Mapping[str, float]) -> None:
        """Sets factors from a saved model. Their names are checked only when training begins."""
        self._factors = {str(name): float(factor) for name, factor in factors.items()}
        self._transfer()

    def by_layer(self) -> np.ndarray:
        """Returns the factor of each layer that owns weights.

        Layers with trainable variables come first, then the others.

        Raises:
            ValueError: If no layer has one of the names.
        """
        factors = np.ones(len(self._layers()), "float32")
        for name in sorted(self._factors, key=len):
            factors[self._covered(name)] = self._factors[name]
        return factors

    def are_set(self) -> bool:
        """Returns whether any factor differs from 1."""
        return any(factor != 1 for factor in self._factors.values())

    def to_device(self) -> keras.Variable:
        """Returns a variable for the compiled step, which from now on holds `by_layer()`."""
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

    def _checked(self, factors: Mapping[str, float]) -> dict[str, float]:
        if not isinstance(factors, Mapping):
            raise ValueError(
                "`learning_rate_multipliers` must map names of layers to factors, such as "
                f"{{'conv_0': 0.1}}; received {factors!r}."
            )
        for name, factor in factors.items():
            if (
                not isinstance(factor, numbers.Real)
                or isinstance(factor, bool)
                or not math.isfinite(factor)
                or factor < 0
            ):
                raise ValueError(
                    f"The learning rate multiplier of '{name}' must be a finite number, 0 or "
                    f"more; received {factor!r}."
                )
            if is_complete(self._model):
                self._covered(name)
        return {name: float(factor) for name, factor in factors.items()}

    def _transfer(self) -> None:
        if self._on_device is not None:
            factors = self.by_layer()
            tap_of(self._model).settle()
            self._on_device.assign(factors)
