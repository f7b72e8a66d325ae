"""Learning rates by layer: scales the step of an optimizer while it applies gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_lcb.backend import internals, ops
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.multipliers import LearningRateMultipliers
from keras_lcb.training.step_comparison import StepComparison


class Scaling:
    """Scales each layer's step by its factor: θ ← θ + f·Δθ.

    Δθ is the whole step, weight decay included. Weight constraints are applied after scaling, and
    averages are taken of the scaled weights. A layer with the factor 0 does not change at all; its
    moving statistics do not change either.

    Args:
        model: A model whose variables exist.
        multipliers: The factors of its layers.
        comparison: Compares gradients before and after a step along them. Defaults to `None`.
    """

    def __init__(
        self,
        model: keras.Model,
        multipliers: LearningRateMultipliers,
        comparison: StepComparison | None = None,
    ) -> None:
        self._model = model
        order = tracked_layers(model)
        self.layers = [*order.layers, *order.others]
        self._multipliers = multipliers
        self._comparison = comparison
        self._factors = multipliers.to_device()
        self._place = {id(v): p for p, layer in enumerate(self.layers) for v in layer.weights}
        self._before: dict[int, Any] = {}  # values before this update
        self._in_use = not ops.CAN_TRACE_ANEW
        self._within_step = False

    @property
    def is_in_use(self) -> bool:
        """Whether steps are scaled, which begins with the first factor other than 1."""
        self._in_use = self._in_use or self._multipliers.are_set()
        return self._in_use

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables on the device."""
        return [self._factors, *(self._comparison.variables if self._comparison else [])]

    def begin_anew(self) -> None:
        """Sets the variables to the values with which a training begins."""
        self._factors.assign(self._multipliers.by_layer())
        if self._comparison is not None:
            self._comparison.clear()

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Scales the updates that are made within this context, the model's own training step.

        Updates of a loop by hand, which `track` measures, stay what they are without it.
        """
        before, self._within_step = self._within_step, True
        try:
            yield
        finally:
            self._within_step = before

    def of_step(self, *args: Any) -> contextlib.AbstractContextManager[None]:
        """Keeps the moving statistics of layers with the factor 0 as they are.

        The training step runs, or is traced, within this context.

        Args:
            *args: The arguments of the step: the batch; on JAX, the state and the batch.
        """
        return self._standing_still(*args)

    @contextlib.contextmanager
    def _standing_still(self, *args: Any) -> Iterator[None]:
        if self._comparison is not None:
            self._comparison.end()  # of a step that has failed
        with contextlib.ExitStack() as stack:
            factors = self._at_begin(*args) if self.is_in_use else None
            for layer in self.layers if self.is_in_use else ():
                trained = {id(variable) for variable in layer.variables}
                for variable in layer.weights:
                    if id(variable) not in trained:
                        stand_in = {"assign": self._assigned(variable, factors)}
                        stack.enter_context(internals.replaced(variable, stand_in))
            yield

    def _at_begin(self, *args: Any) -> Any:
        """Returns the factors with which a step begins.

        On JAX they are in the state of the optimizer. The variable itself holds them only while the
        optimizer runs: in the forward pass, its value would become a constant of the traced step.
        """
        if len(args) == 1:
            return ops.read([self._factors])[0]
        _, _, of_optimizer, _ = args[0]
        state = zip(self._model.optimizer.variables, of_optimizer, strict=True)
        return next(value for variable, value in state if variable is self._factors)

    def _assigned(self, variable: keras.Variable, factors: Any) -> Callable[[Any], Any]:
        """Returns a replacement for `assign` of a moving statistic.

        The forward pass calls it. It has no effect for a layer with the factor 0.
        """
        assign = variable.assign
        still = factors[self._place[id(variable)]] == 0

        def assign_unless_still(value: Any) -> Any:
            value = keras.ops.cast(value, variable.dtype)
            return assign(keras.ops.where(still, ops.read([variable])[0], value))

        return assign_unless_still

    def around(self, part: Any, apply: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a replacement for `apply` of an optimizer, which scales the steps.

        Args:
            part: An optimizer that is not composite.
            apply: The optimizer's own `apply`.
        """
        if not self.is_in_use and self._comparison is None:
            return apply

        def apply_in_layers(grads: Any, trainable_variables: Any = None) -> Any:
            if not self._within_step:
                return apply(grads, trainable_variables)
            grads = list(grads)
            if trainable_variables is None:
                named = internals.variables_trained_by(part)
            else:
                named = trainable_variables = list(trainable_variables)
            # With `use_ema`, averages may also overwrite variables without a gradient.
            scaled = internals.variables_trained_by(part) or named
            scaled = [v for v in scaled if id(v) in self._place]
            before = ops.read(scaled)
            self._before = {id(v): value for v, value in zip(scaled, before, strict=True)}
            if self._comparison is not None:
                found = {id(v): g for v, g in zip(named, grads, strict=False)}
                self._comparison.compare(part, found, self._before)
            result = apply(grads, trainable_variables)
            if self.is_in_use:
                self._hold(part, scaled)
            return result

        return apply_in_layers

    def stand_ins(self, part: Any) -> dict[str, Callable[..., Any]]:
        """Returns replacements for the optimizer's other methods, by name."""
        if not self.is_in_use:
            return {}
        methods = {"_backend_update_step": self._update_and_scale(part)}
        if part.use_ema:
            methods["_update_model_variables_moving_average"] = self._average_exactly(part)
        return methods

    def _hold(self, part: Any, variables: Sequence[keras.Variable]) -> None:
        """Undoes what constraints and averages have done to layers with the factor 0."""
        overwritten = part.use_ema and part.ema_overwrite_frequency
        for variable in variables:
            if id(variable) in self._before and (overwritten or variable.constraint is not None):
                still = self._factor(variable) == 0
                value = ops.read([variable])[0]
                variable.assign(keras.ops.where(still, self._before[id(variable)], value))

    def _factor(self, variable: keras.Variable) -> Any:
        return ops.read([self._factors])[0][self._place[id(variable)]]

    def _update_and_scale(self, part: Any) -> Callable[..., Any]:
        update = part._backend_update_step

        def update_and_scale(grads: Any, trainable_variables: Any, learning_rate: Any) -> Any:
            result = update(grads, trainable_variables, learning_rate)
            scaled = [v for v in trainable_variables if id(v) in self._before]
            if scaled and self._within_step:
                (factors,) = ops.read([self._factors])
                places = [self._place[id(v)] for v in scaled]
                before = [self._before[id(v)] for v in scaled]
                ops.scale_steps(scaled, before, factors, places)
            return result

        return update_and_scale

    def _average_exactly(self, part: Any) -> Callable[..., Any]:
        """Returns a replacement that averages weights without rounding errors.

        If a layer with the factor 0 equals its average, the new average must equal it, too. Keras'
        formula would round, and so slowly move the layer.
        """
        average = part._update_model_variables_moving_average

        def average_exactly(variables: Any) -> Any:
            if not self._within_step:
                return average(variables)
            pairs = [
                (variable, mean)
                for variable, mean in zip(variables, internals.moving_averages(part), strict=True)
                if mean is not None and id(variable) in self._place
            ]
            before = ops.read([mean for _, mean in pairs])
            result = average(variables)
            for (variable, mean), old in zip(pairs, before, strict=True):
                (value,) = ops.read([variable])
                still = keras.ops.logical_and(
                    self._factor(variable) == 0, keras.ops.equal(old, value)
                )
                mean.assign(keras.ops.where(still, value, ops.read([mean])[0]))
            return result

        return average_exactly
