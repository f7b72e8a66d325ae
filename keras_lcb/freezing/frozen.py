"""Freezes layers of a model during training, and thaws them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.training.call_trace import trace_calls
from keras_lcb.training.layers import TrackedLayer, tracked_layers

_ATTRIBUTE = "_keras_lcb_frozen"


def frozen_of(model: keras.Model) -> Frozen:
    """Returns the object that knows a model's frozen layers, and makes it in the first call."""
    frozen = internals.remembered(model, _ATTRIBUTE)
    if frozen is None:
        frozen = Frozen(model)
        internals.remember(model, _ATTRIBUTE, frozen)
    return frozen


class Frozen:
    """The layers of one model that are frozen at the moment.

    Their flag `trainable` is False, so they drop out of the backward pass, and their batch
    normalization runs in inference mode. The optimizer does not see their variables, so neither
    weight decay nor weight averages change them. Their optimizer slots keep their values until the
    layers are thawed.

    Args:
        model: A built and compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._variables: list[keras.Variable] = []
        self._thaw_flags: Callable[[], None] | None = None
        self._narrowed = contextlib.ExitStack()
        self._owner: Any = None

    def belong_to(self, owner: Any) -> None:
        """Lets one callback determine what is frozen, until `thaw`.

        Raises:
            ValueError: If another one does already.
        """
        if self._owner is not None:
            raise ValueError(
                f"The model '{self._model.name}' received two FreezeConverged in one training. "
                "Each would thaw the layers that the other has frozen. Pass only one."
            )
        self._owner = owner

    @property
    def variables(self) -> list[keras.Variable]:
        """Returns the frozen variables."""
        return list(self._variables)

    def freeze_only(self, rows: Iterable[TrackedLayer]) -> None:
        """Freezes these layers and no others. If that is a change, Keras compiles the step again.

        Args:
            rows: Layers, or groups of them.
        """
        variables = [v for row in rows for v in row.variables]
        if {id(v) for v in variables} == {id(v) for v in self._variables}:
            return
        self._restore()
        if variables:
            self._freeze(variables)
        internals.forget_compiled(self._model)

    def thaw(self) -> None:
        """Lets all frozen layers train again."""
        self.freeze_only([])
        self._owner = None

    def _freeze(self, variables: list[keras.Variable]) -> None:
        optimizer: Any = self._model.optimizer
        if not optimizer.built:  # the optimizer makes the slots of all variables at once
            optimizer.build(self._model.trainable_variables)
        self._variables = variables
        # The file that a callback saves must load with all slots of the optimizer.
        as_before = internals.config_as_now(self._model)
        self._narrowed.enter_context(internals.replaced(self._model, as_before))
        statistics = _owners_of_statistics(self._model, {id(v) for v in variables})
        self._thaw_flags = internals.freeze(self._model, variables, statistics)
        scaler = [optimizer] if hasattr(optimizer, "inner_optimizer") else []
        for each in [*scaler, *internals.parts_of(optimizer)]:
            attributes = internals.narrowed(each, lambda v: v.trainable)
            self._narrowed.enter_context(internals.replaced(each, attributes))

    def _restore(self) -> None:
        self._variables = []
        self._narrowed.close()
        if self._thaw_flags is not None:
            self._thaw_flags()
            self._thaw_flags = None


def _owners_of_statistics(model: keras.Model, frozen: set[int]) -> list[keras.Layer]:
    """Returns the layers without trainable variables that come before all layers that train."""
    order = tracked_layers(model)
    try:
        called = trace_calls(model, internals.flattened(model)).order
    except Exception:  # any code may stand in a model's `call`
        return []
    place = {identity: at for at, identity in enumerate(called)}
    first = min(
        place.get(id(layer), len(called))
        for row in order.layers
        if not all(id(v) in frozen for v in row.variables)
        for layer in row.layers
    )
    return [
        layer
        for row in order.others
        for layer in row.layers
        if place.get(id(layer), len(called)) < first
    ]
