"""The training functions of a model: Keras' own, and those that measure."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.backend import internals
from keras_lcb.training.layers import is_complete
from keras_lcb.training.meter import Meter

if TYPE_CHECKING:
    from keras_lcb.training.scaling import Scaling
    from keras_lcb.training.tap import Tap


_KEPT = 2  # how many training functions are kept, each for another set of quantities


@dataclasses.dataclass(eq=False)
class MeasuredFunction:
    """A training function that measures, and the meters and optimizers it was made for."""

    meters: list[Meter]
    optimizers: list[Any]
    scaling: Scaling | None
    scales: bool
    function: Any

    def serves(self, tap: Tap) -> bool:
        """Returns whether the function measures and scales what the tap needs now."""
        return (
            self.meters == tap.meters
            and self.optimizers == tap.optimizers
            and self.scaling is tap.scaling
            and self.scales == tap.scales
        )


class TrainingFunctions:
    """Has Keras make training functions of a model, and keeps the newest ones.

    Args:
        tap: The tap of the model.
    """

    def __init__(self, tap: Tap) -> None:
        self._tap = weakref.proxy(tap)
        self._make = lambda: type(tap.model).make_train_function(tap.model)
        self._plain: Any = None  # Keras' training function without measurement
        self._compilation: Any = None  # that the known functions were made after
        self._known: list[MeasuredFunction] = []
        self._running: MeasuredFunction | None = None

    def make_with(self, make: Callable[[], Any]) -> None:
        """Uses another method that makes a training function of the model."""
        self._make = make

    def replace_by(self, stand_in: Callable[..., Any]) -> None:
        """Has Keras call another function in place of the model's training function."""
        model = self._tap.model
        if model.train_function is not stand_in:
            compilation = internals.compilation(model)
            if model.train_function is not self._plain or compilation is not self._compilation:
                self.forget(model.train_function)
            model.train_function, self._compilation = stand_in, compilation

    def restore(self, stand_in: Callable[..., Any]) -> None:
        """Gives the model its own training function again."""
        if self._tap.model.train_function is stand_in:
            self._tap.model.train_function = self._plain

    def forget(self, plain: Any) -> None:
        """Forgets all training functions but the one given, or `None`, which does not measure."""
        self._plain = plain
        self._known.clear()

    @property
    def known_meters(self) -> list[list[Meter]]:
        """The meters of the training functions that are kept."""
        return [each.meters for each in self._known]

    def plain(self) -> Any:
        """Returns the training function that does not measure."""
        if self._plain is None:
            self._plain = self._made_by_keras()
        return self._plain

    def measuring(self) -> Any:
        """Returns a training function for the tap's meters and scaling."""
        tap = self._tap
        if self._running not in self._known or not self._running.serves(tap):
            self._running = next((known for known in self._known if known.serves(tap)), None)
        if self._running is None:
            with internals.replaced(tap.model, {"train_step": self._measured_step()}):
                function = self._made_by_keras()
            made_for = list(tap.meters), list(tap.optimizers), tap.scaling, tap.scales
            self._running = MeasuredFunction(*made_for, function)
            self._known = [*self._known, self._running][-_KEPT:]
        return self._running.function

    def meters_have_changed(self) -> None:
        """Notes that the step that is being traced uses the tap's present meters and scaling."""
        if self._running is not None:
            self._running.meters, self._running.scaling = list(self._tap.meters), self._tap.scaling
            self._running.scales = self._tap.scales

    def _made_by_keras(self) -> Any:
        """Returns a new training function that Keras makes of the model's training step."""
        model = self._tap.model
        kept, model.train_function = model.train_function, None
        try:
            with self._tap.carrying():
                self._make()
            return model.train_function
        finally:
            model.train_function = kept

    def _measured_step(self) -> Callable[..., Any]:
        """Returns the model's training step with measurement, for Keras to trace."""
        tap = self._tap
        model = tap.model
        step = model.train_step
        layers = [model, *internals.flattened(model)]
        trains = None
        if keras.backend.backend() == "tensorflow" and is_complete(model):
            traced = [self._plain, *(known.function for known in reversed(self._known))]
            trains = trained_as_traced(tap.variables, tap.optimizers, traced)

        @functools.wraps(step)
        def measured(*args: Any) -> Any:
            tap.before_step(args[-1])
            flags = internals.trained_as(layers, trains) if trains else contextlib.nullcontext()
            with tap.in_force(), flags:
                if tap.scaling is None:
                    return step(*args)
                with tap.scaling.allowed(), tap.scaling.of_step(*args):
                    return step(*args)

        return measured


def trained_as_traced(
    variables: Sequence[keras.Variable], optimizers: Sequence[Any], functions: Sequence[Any]
) -> Callable[[keras.Variable], bool] | None:
    """Finds out which variables a step that was traced before trains on TensorFlow.

    If a layer is frozen or unfrozen after tracing, Keras ignores this until `compile` is called.
    Until then, the measured step must train the same variables as the step that was traced before.

    Args:
        variables: The variables of all layers of a complete model.
        optimizers: The followed optimizers.
        functions: Training functions of before, and `None`. The first that was traced decides.

    Returns:
        A function that says whether a variable is trained; `None` if the flags `trainable` of
        the variables say so correctly.
    """
    built_for = {
        id(variable)
        for optimizer in optimizers
        for part in optimizer.parts
        for variable in internals.variables_trained_by(part)
    }
    if {id(v) for v in variables if v.trainable} == built_for:
        return None  # nothing was frozen or unfrozen since the optimizers were built
    from keras_lcb.backend.traced_steps import variables_written

    each = map(variables_written, functions)
    written = next((found for found in each if found is not None), None)
    if written is None or all((id(v.value) in written) == v.trainable for v in variables):
        return None
    return lambda variable: id(variable.value) in written
