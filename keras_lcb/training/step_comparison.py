"""How well each layer's gradient predicts its gradient after a step, in the training step.

Source: Santurkar et al. (2018), "How does batch normalization help optimization?".
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import ops
from keras_lcb.training.functional import batch_loss
from keras_lcb.training.layers import TrackedLayer, tracked_layers
from keras_lcb.training.rnn_states import rnn_states

Values = dict[int, Any]
Gradients = Callable[[Values, Sequence[int], Sequence[Any]], list[Any]]


class _Step(threading.local):
    """What is known of the present step; each replica of TensorFlow has a thread for its own.

    Attributes:
        gradients: Computes the step's gradients at other weights; `None` outside of a step.
        own_scale: By what the gradients are scaled that the optimizer receives.
    """

    gradients: Gradients | None = None
    own_scale: Any = None


class StepComparison:
    """Compares each layer's gradient before and after a gradient step of this layer alone.

    Args:
        model: A compiled model whose variables exist.
        step_size: The step size η of the step θ − ηg; `True` for the current learning rate.
    """

    def __init__(self, model: keras.Model, step_size: bool | float) -> None:
        self._model = model
        self._layers: Sequence[TrackedLayer] = tracked_layers(model).layers
        self._step_size = step_size
        new = ops.VariableMaker(model)
        # Three sums for each layer: relative changes, cosines, and the number of steps.
        shape = ops.total_shape((3, len(self._layers)))
        self._sums = new.zeros(shape, ops.ACCUMULATOR_DTYPE, "changes")
        self._step = _Step()

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables on the device."""
        return [self._sums]

    def clear(self) -> None:
        """Sets the sums to zero."""
        ops.clear(self._sums)

    def means(self) -> dict[str, float]:
        """Returns the means since the last `clear`, by the names of logs; NaN without a step."""
        changes, cosines, counts = np.array(ops.total_value(ops.on_host(self._sums)))
        logs = {}
        for place, layer in enumerate(self._layers):
            count = counts[place]
            logs[f"relative_gradient_change/{layer.name}"] = (
                float(changes[place] / count) if count else math.nan
            )
            logs[f"gradient_cosine/{layer.name}"] = (
                float(cosines[place] / count) if count else math.nan
            )
        return logs

    # In the training step.

    def begin(self, *args: Any) -> None:
        """Prepares the comparison of a step, before its forward pass changes any state.

        Args:
            *args: The arguments of Keras' own step: the batch from which the gradient comes; on
                JAX, the state and this batch.
        """
        ops.uncompiled(self._begin)(*args)

    def _begin(self, *args: Any) -> None:
        model, optimizer = self._model, self._model.optimizer
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(args[-1])
        if len(args) == 1:
            non_trainable, metrics = ops.read(model.non_trainable_variables), []
            scale = optimizer.scale_loss(keras.ops.ones(()))
        else:
            _, non_trainable, of_optimizer, metrics = args[0]
            with keras.StatelessScope(list(zip(optimizer.variables, of_optimizer, strict=True))):
                scale = optimizer.scale_loss(keras.ops.ones(()))
        # A loss scaler around the optimizer unscales gradients before the inner `apply`.
        has_scaler = hasattr(optimizer, "inner_optimizer")
        self._step.own_scale = keras.ops.ones(()) if has_scaler else scale
        # The forward pass of a stateful RNN goes on from these.
        states = ops.read(rnn_states(model))

        def gradients(values: Values, moved: Sequence[int], at: Sequence[Any]) -> list[Any]:
            def loss(*tensors: Any) -> Any:
                there = values | dict(zip(moved, tensors, strict=True))
                unscaled = batch_loss(
                    model,
                    [there[id(variable)] for variable in model.trainable_variables],
                    non_trainable,
                    x,
                    y,
                    sample_weight,
                    training=True,
                    metrics=metrics,
                    states=states,
                )
                return unscaled * keras.ops.cast(scale, unscaled.dtype)

            return [_dense(g) / keras.ops.cast(scale, g.dtype) for g in ops.gradients(loss, at)]

        self._step.gradients = gradients

    def end(self) -> None:
        """Ends the comparison of a step, so that its batch is not taken for that of another."""
        self._step.gradients = None

    def compare(self, optimizer: Any, found: Values, before: Values) -> None:
        """Compares gradients for one call of `apply`, and adds to the sums.

        Args:
            optimizer: The optimizer that applies the gradients.
            found: The gradients, by the `id` of their variable.
            before: The values of variables before the update, by the `id` of the variable.

        Raises:
            ValueError: If the gradients do not come from Keras' own step.
        """
        ops.uncompiled(self._compare)(optimizer, found, before)

    def _compare(self, optimizer: Any, found: Values, before: Values) -> None:
        gradients = self._step.gradients
        if gradients is None:
            raise ValueError(
                "`gradient_predictiveness` needs to know the batch from which each gradient comes, "
                f"but the class {type(self._model).__name__} defines a `train_step` that computes "
                "gradients itself. Let it call `super().train_step(...)` with the batch to train "
                "on, or pass gradient_predictiveness=False."
            )
        step = self._step_size
        if step is True:
            step = keras.ops.convert_to_tensor(optimizer.learning_rate)
        values = {id(v): before.get(id(v)) for v in self._model.trainable_variables}
        unread = [v for v in self._model.trainable_variables if values[id(v)] is None]
        values |= {id(v): value for v, value in zip(unread, ops.read(unread), strict=True)}
        columns = []
        for layer in self._layers:
            moved = [id(v) for v in layer.variables if found.get(id(v)) is not None]
            if not moved:
                columns.append(keras.ops.zeros((3,)))
                continue
            here = [_dense(found[key]) for key in moved]
            here = [g / keras.ops.cast(self._step.own_scale, g.dtype) for g in here]
            at = [
                values[key] - keras.ops.cast(step, g.dtype) * g
                for key, g in zip(moved, here, strict=True)
            ]
            change, cosine = _compared(here, gradients(values, moved, at))
            columns.append(keras.ops.stack([change, cosine, keras.ops.ones_like(change)]))
        ops.accumulate(self._sums, keras.ops.stack(columns, axis=1))


def _compared(here: Sequence[Any], there: Sequence[Any]) -> tuple[Any, Any]:
    """Returns ‖there − here‖/‖here‖ and the cosine of both; 0 and 1 if both are zero."""
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
    """Returns a gradient as a dense tensor in single precision; a double one stays double."""
    dense = ops.dense(gradient)
    return keras.ops.cast(dense, keras.backend.result_type(dense.dtype, "float32"))
