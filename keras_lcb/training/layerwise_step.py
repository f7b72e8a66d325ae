"""What a `LayerwiseModel` does inside its optimizer's update.

All of it happens while the training step runs (or is traced), through methods that stand on the
optimizer instance just so long. So the optimizer is an ordinary one at any other time, and other
code that stands in for the same methods, as `GradientNorms` does during `fit`, goes on working.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from operator import is_
from typing import Any

import keras

from keras_lcb.training import ops
from keras_lcb.training.epoch_norms import EpochNorms
from keras_lcb.training.functional import batch_loss
from keras_lcb.training.layers import tracked_layers
from keras_lcb.training.multipliers import LearningRateMultipliers
from keras_lcb.training.tap import check_optimizer


class LayerwiseStep:
    """Measures and scales the updates of one compiled model.

    Args:
        model: A built and compiled model.
        multipliers: Its learning rate multipliers.
        predictiveness: Whether to compare gradients before and after a step along them: `True`
            for steps of the learning rate in force, or a step size.
    """

    def __init__(
        self,
        model: keras.Model,
        multipliers: LearningRateMultipliers,
        predictiveness: bool | float = False,
    ) -> None:
        check_optimizer(model, model.optimizer)
        self._model = model
        self._compilation = _compilation(model)
        self._outer = model.optimizer
        if not self._outer.built:
            with keras.name_scope(self._outer.name, caller=self._outer):  # as it would itself
                self._outer.build(model.trainable_variables)
        self._inner = getattr(self._outer, "inner_optimizer", self._outer)
        self._layers = tracked_layers(model).layers
        self._predictiveness = predictiveness
        self.norms = EpochNorms(self._layers)
        self._multipliers = multipliers
        self._factors = multipliers.to_device()
        self._place = {
            id(variable): place
            for place, layer in enumerate(self._layers)
            for variable in layer.variables
        }
        self._receiving: Sequence[Any] = ()  # the variables whose gradients are on their way
        self._before: dict[int, Any] = {}  # their values before this update
        self._compare: Any = None  # set while a step measures gradient predictiveness

    def is_current(self) -> bool:
        """Whether the model still is compiled and frozen as it was when the step was made."""
        now = _compilation(self._model)
        return len(now) == len(self._compilation) and all(map(is_, now, self._compilation))

    @property
    def variables(self) -> list[keras.Variable]:
        """State on the device."""
        return [*self.norms.variables, self._factors]

    def logs(self) -> dict[str, Any]:
        """What the training step adds to its logs."""
        logs = self.norms.logs()
        return logs | self.norms.change_logs() if self._predictiveness else logs

    @contextlib.contextmanager
    def in_force(self, data: Any, state: Any = None) -> Iterator[None]:
        """Within this context, updates of the optimizer are measured and scaled.

        Args:
            data: The batch that the training step is called with.
            state: On JAX, the state that the step is called with.
        """
        inner = self._inner
        replaced = {
            "apply": self._applied(inner.apply),
            "_backend_apply_gradients": self._noted(inner._backend_apply_gradients),
            "_clip_gradients": self._measured(inner._clip_gradients),
            "_backend_update_step": self._scaled(inner._backend_update_step),
        }
        if inner.use_ema:
            average = inner._update_model_variables_moving_average
            replaced["_update_model_variables_moving_average"] = self._averaged(average)
        if state is not None:
            replaced["_variables"] = [*inner._variables, *self.variables]
        if self._predictiveness:
            self._compare = ops.uncompiled(self._comparison(data, state))
        with _replaced(inner, replaced):
            yield

    # In place of the optimizer's methods.

    def _applied(self, apply: Any) -> Any:
        def apply_in_layers(grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            built_for = self._inner._trainable_variables
            trained = [v for v in built_for if id(v) in self._place]
            before = ops.read(trained)
            self._before = {id(v): b for v, b in zip(trained, before, strict=True)}
            if self._compare is not None:
                named = built_for if trainable_variables is None else list(trainable_variables)
                self._compare({id(v): g for v, g in zip(named, grads, strict=True)})
            result = apply(grads, trainable_variables)
            self._hold(trained)
            self.norms.add_updates(trained, before, [v.value for v in trained])
            return result

        return apply_in_layers

    def _noted(self, apply_gradients: Any) -> Any:
        def apply_noted_gradients(grads: Any, trainable_variables: Any) -> Any:
            self._receiving = list(trainable_variables)
            return apply_gradients(grads, trainable_variables)

        return apply_noted_gradients

    def _measured(self, clip: Any) -> Any:
        def clip_measured_gradients(gradients: Any) -> Any:
            gradients = list(gradients)
            self.norms.add_gradients(self._receiving, gradients)
            return clip(gradients)

        return clip_measured_gradients

    def _scaled(self, update: Any) -> Any:
        def update_and_scale(grads: Any, trainable_variables: Any, learning_rate: Any) -> Any:
            result = update(grads, trainable_variables, learning_rate)
            factors = keras.ops.convert_to_tensor(self._factors)

            def scale() -> None:
                for variable in trainable_variables:
                    if id(variable) in self._place:
                        factor = factors[self._place[id(variable)]]
                        after = keras.ops.convert_to_tensor(variable)
                        variable.assign(_part_of_step(self._before[id(variable)], after, factor))

            ops.where_scaled(factors, self._multipliers.are_set, scale)
            return result

        return update_and_scale

    def _averaged(self, average: Any) -> Any:
        """Averages weights; where they stand still at their average, that is exact."""

        def average_exactly(variables: Any) -> Any:
            pairs = [
                (variable, mean)
                for variable, mean in zip(
                    variables, self._inner._model_variables_moving_average, strict=True
                )
                if mean is not None and id(variable) in self._place
            ]
            before = ops.read([mean for _, mean in pairs])
            result = average(variables)
            factors = keras.ops.convert_to_tensor(self._factors)
            for (variable, mean), old in zip(pairs, before, strict=True):
                value = keras.ops.convert_to_tensor(variable)
                still = keras.ops.logical_and(
                    factors[self._place[id(variable)]] == 0, keras.ops.equal(old, value)
                )
                mean.assign(keras.ops.where(still, value, keras.ops.convert_to_tensor(mean)))
            return result

        return average_exactly

    def _hold(self, variables: Sequence[Any]) -> None:
        """Undoes what constraints and overwriting by averages did to layers with the factor 0."""
        overwritten = self._inner.use_ema and self._inner.ema_overwrite_frequency
        factors = keras.ops.convert_to_tensor(self._factors)
        for variable in variables:
            if overwritten or variable.constraint is not None:
                held = factors[self._place[id(variable)]] == 0
                value = keras.ops.convert_to_tensor(variable)
                variable.assign(keras.ops.where(held, self._before[id(variable)], value))

    # Gradient predictiveness.

    def _comparison(self, data: Any, state: Any) -> Any:
        """Prepares a step's comparison, before its forward pass has changed anything."""
        model, inner, outer = self._model, self._inner, self._outer
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if state is None:
            non_trainable, metrics = ops.read(model.non_trainable_variables), []
            scale = outer.scale_loss(keras.ops.ones(()))
        else:
            _, non_trainable, of_optimizer, metrics = state
            with keras.StatelessScope(list(zip(outer.variables, of_optimizer, strict=True))):
                scale = outer.scale_loss(keras.ops.ones(()))
        own_scale = scale if outer is inner else keras.ops.ones(())

        def gradients(values: dict[int, Any], moved: Sequence[int], at: Sequence[Any]) -> list[Any]:
            def loss(*tensors: Any) -> Any:
                there = values | dict(zip(moved, tensors, strict=True))
                trainable = [there[id(variable)] for variable in model.trainable_variables]
                unscaled = batch_loss(
                    model,
                    trainable,
                    non_trainable,
                    x,
                    y,
                    sample_weight,
                    training=True,
                    metrics=metrics,
                )
                return unscaled * keras.ops.cast(scale, unscaled.dtype)

            return [_dense(g) / keras.ops.cast(scale, g.dtype) for g in ops.gradients(loss, at)]

        def compare(found: dict[int, Any]) -> None:
            step = self._predictiveness
            if step is True:
                step = keras.ops.convert_to_tensor(inner.learning_rate)
            changes, cosines = [], []
            for layer in self._layers:
                moved = [id(v) for v in layer.variables if found.get(id(v)) is not None]
                here = [_dense(found[key]) for key in moved]
                here = [g / keras.ops.cast(own_scale, g.dtype) for g in here]
                if not moved:
                    changes.append(keras.ops.zeros(()))
                    cosines.append(keras.ops.zeros(()))
                    continue
                at = [
                    self._before[key] - keras.ops.cast(step, g.dtype) * g
                    for key, g in zip(moved, here, strict=True)
                ]
                change, cosine = _compared(here, gradients(self._before, moved, at))
                changes.append(change)
                cosines.append(cosine)
            self.norms.add_changes(keras.ops.stack(changes), keras.ops.stack(cosines))

        return compare


def _compilation(model: keras.Model) -> tuple[Any, ...]:
    return (model._compile_config, model.optimizer, *model.trainable_variables)


def _part_of_step(before: Any, after: Any, factor: Any) -> Any:
    """The step from `before` towards `after`, times a factor; exact for the factors 0 and 1."""
    dtype = keras.backend.result_type(after.dtype, "float32")
    start, end = keras.ops.cast(before, dtype), keras.ops.cast(after, dtype)
    part = start + keras.ops.cast(factor, dtype) * (end - start)
    part = keras.ops.where(factor == 0, start, keras.ops.where(factor == 1, end, part))
    return keras.ops.cast(part, after.dtype)


def _compared(here: Sequence[Any], there: Sequence[Any]) -> tuple[Any, Any]:
    """‖there − here‖/‖here‖ and the cosine between the two; 0 and 1 where both vanish."""
    products = [
        [keras.ops.sum(a * b) for a, b in pairs]
        for pairs in (
            [(g, g) for g in here],
            [(h, h) for h in there],
            zip(here, there, strict=True),
            [(h - g, h - g) for g, h in zip(here, there, strict=True)],
        )
    ]
    first, second, inner, change = (keras.ops.sum(keras.ops.stack(p)) for p in products)
    product = keras.ops.sqrt(first) * keras.ops.sqrt(second)
    moved = keras.ops.where(first > 0, first, 1.0)
    return (
        keras.ops.sqrt(change / moved),
        keras.ops.where(product > 0, inner / keras.ops.where(product > 0, product, 1.0), 1.0),
    )


def _dense(gradient: Any) -> Any:
    """A gradient as a plain tensor: embeddings have sparse ones on TensorFlow."""
    dense = keras.ops.convert_to_tensor(gradient, sparse=False)
    return keras.ops.cast(dense, keras.backend.result_type(dense.dtype, "float32"))


@contextlib.contextmanager
def _replaced(owner: Any, attributes: dict[str, Any]) -> Iterator[None]:
    """Sets attributes of an object for a while, past Keras' tracking."""
    kept = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    for name, value in attributes.items():
        object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            if name in kept:
                object.__setattr__(owner, name, kept[name])
            else:
                object.__delattr__(owner, name)
