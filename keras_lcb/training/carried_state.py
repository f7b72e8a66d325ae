"""Passes the variables of the tap through Keras' training step on JAX.

On JAX, a training step is a pure function. It receives the values of all variables, those of the
optimizer among them, and returns the new values. The tap's own variables have to be part of this
state. Therefore they are added to the optimizer's variables while a step is traced, and removed
again afterwards.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import keras

from keras_lcb.backend import internals


class Owner(Protocol):
    """The interface of what has variables that steps carry."""

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables, always in the same order."""

    def begin_anew(self) -> None:
        """Sets the variables to the values with which a training begins."""


class CarriedState:
    """Carries variables through the steps of one model.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._reference = weakref.ref(model)
        self._owners: list[Owner] = []
        self._carried: list[tuple[Any, list[keras.Variable]]] = []  # optimizers, with additions
        self._values: list[Any] | None = None  # from the last step, newer than the variables

    @property
    def _model(self) -> keras.Model:
        model = self._reference()
        assert model is not None  # the model owns this object, so it lives at least as long
        return model

    @property
    def _variables(self) -> list[keras.Variable]:
        return [variable for _, variables in self._carried for variable in variables]

    def carry(self, owners: Sequence[tuple[Any, Sequence[Owner]]]) -> None:
        """Sets which variables the next steps carry.

        Args:
            owners: Optimizers, each with the owners of the variables that are added to its own.
        """
        carried = [(optimizer, [v for o in of for v in o.variables]) for optimizer, of in owners]
        before = self._variables
        if [id(v) for _, variables in carried for v in variables] != list(map(id, before)):
            self.sync()
        self._owners = [owner for _, of in owners for owner in of]
        self._carried = carried

    def sync(self) -> None:
        """Assigns the values of the last step to the variables."""
        if self._values is not None:
            values, self._values = self._values, None
            for variable, value in zip(self._variables, values, strict=True):
                variable.assign(value)

    @contextlib.contextmanager
    def within_optimizer(self) -> Iterator[None]:
        """Adds the variables to those of their optimizers within this context."""
        added = []
        for optimizer, variables in self._carried:
            state = internals.state_of(_last_part(optimizer))
            own = [v for v in variables if not any(v is other for other in state)]
            state.extend(own)
            added.append((state, own))
        try:
            yield
        finally:
            for state, own in added:
                state[:] = [v for v in state if not any(v is other for other in own)]

    @contextlib.contextmanager
    def left_out_of_files(self) -> Iterator[None]:
        """Makes optimizers save and load only their own variables within this context."""
        with contextlib.ExitStack() as stack:
            for optimizer, variables in self._carried:
                for each in {id(o): o for o in (optimizer, _last_part(optimizer))}.values():
                    methods = {
                        name: _without(variables, optimizer, getattr(each, name))
                        for name in ("save_own_variables", "load_own_variables")
                    }
                    stack.enter_context(internals.replaced(each, methods))
            yield

    def run(self, function: Callable[..., Any], state: internals.State, iterator: Any) -> Any:
        """Runs a training function with the carried variables in its state.

        Args:
            function: The training function that Keras made within `within_optimizer`.
            state: The state without the carried variables.
            iterator: The batches.

        Returns:
            The logs, and the new state without the carried variables.
        """
        trainable, non_trainable, of_optimizer, of_metrics = state
        own = self._values or [variable.value for variable in self._variables]
        self._values = own
        count = len(of_optimizer)
        try:
            logs, new = function(
                (trainable, non_trainable, [*of_optimizer, *own], of_metrics), iterator
            )
        except BaseException:
            if any(value.is_deleted() for value in own):  # the failed step has used up its inputs
                self._begin_anew()
            raise
        trainable, non_trainable, of_optimizer, of_metrics = new
        if len(of_optimizer) != count + len(own):
            raise ValueError(
                f"The training step of the model '{self._model.name}' must return as many "
                f"optimizer variables as it receives, {count + len(own)}; received "
                f"{len(of_optimizer)}. Return all that `optimizer.stateless_apply` returns."
            )
        self._values = list(of_optimizer[count:])
        return logs, (trainable, non_trainable, of_optimizer[:count], of_metrics)

    def _begin_anew(self) -> None:
        self._values = None
        for owner in self._owners:
            owner.begin_anew()


def _last_part(optimizer: Any) -> Any:
    """Returns the part of a composite optimizer whose variables come last."""
    return internals.parts_of(optimizer)[-1]


def _without(
    variables: Sequence[keras.Variable], optimizer: Any, method: Callable[[Any], None]
) -> Callable[[Any], None]:
    """Wraps a method so that it does not see the given variables among the optimizer's."""

    def save_or_load(store: Any) -> None:
        state = internals.state_of(_last_part(optimizer))
        whole = list(state)
        state[:] = [v for v in whole if not any(v is own for own in variables)]
        try:
            method(store)
        finally:
            state[:] = whole

    return save_or_load
