"""One quantity in a meter: its state on the device, and how many numbers it adds up."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_lcb.backend import ops
from keras_lcb.quantities.settings import settings_of
from keras_lcb.quantities.step_quantity import StepQuantity
from keras_lcb.training.reader import Reader
from keras_lcb.training.trial import check_result, initial_state, numbers_of


class Slot:
    """Keeps the state of one quantity.

    Args:
        model: The model. The state is kept on its devices.
        quantity: The quantity.
        variables: The variables that are followed.

    Attributes:
        quantity: The quantity.
        numbers: How many numbers it adds up for each variable.
        state: Its state for each variable.
        readers: The readers whose updates the state stems from.

    Raises:
        ValueError: If the quantity cannot be traced.
    """

    def __init__(
        self, model: keras.Model, quantity: StepQuantity, variables: Sequence[keras.Variable]
    ) -> None:
        self.quantity = quantity
        self._variables = list(variables)
        before = settings_of(quantity)
        initial = [initial_state(quantity, variable) for variable in variables]
        self.numbers = numbers_of(quantity, variables, initial)
        check_result(quantity, self.numbers)
        # What a trial call changes is no setting.
        after = settings_of(quantity)
        self._changing = {name for name in before | after if before.get(name) != after.get(name)}
        self._settings = self._steady(after)
        new = ops.VariableMaker(model)
        self.state = [
            tuple(new.of(value, variable, "state") for value in values)
            for variable, values in zip(variables, initial, strict=True)
        ]
        # Weak references, so that readers and their records can be deleted.
        self.readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._is_new = True

    def _steady(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in settings.items() if name not in self._changing}

    def measures(self, quantity: StepQuantity) -> bool:
        """Returns whether the slot was made for an equal quantity, and still measures it.

        If a user has changed the settings of the slot's own quantity, a step that was traced
        before has the former settings, and one that runs eagerly has the new ones.
        """
        kept = {id(each): each for each in (quantity, self.quantity)}.values()
        return all(self._steady(settings_of(each)) == self._settings for each in kept)

    def begin(self) -> None:
        """Sets the state to its initial value."""
        for variable, state in zip(self._variables, self.state, strict=True):
            if state:
                for kept, value in zip(state, initial_state(self.quantity, variable), strict=True):
                    kept.assign(value)

    def go_on(self, readers: Iterable[Reader], former: Slot | None) -> None:
        """Takes up the state where it was left.

        Args:
            readers: Those that use the slot from now on.
            former: The slot for the same quantity and variables that they have used so far; `None`
                if the state begins anew.
        """
        if former is None:
            if not self._is_new:
                self.begin()
        elif former is not self:
            for own, others in zip(self.state, former.state, strict=True):
                for variable, other in zip(own, others, strict=True):
                    variable.assign(other)
            former.readers.difference_update(readers)
        self.readers, self._is_new = weakref.WeakSet(readers), False
