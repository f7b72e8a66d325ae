"""The gradient tap: measures inside the optimiser's own update, for the length of one `fit`.

Keras' optimisers call `_clip_gradients` once for every update that they apply, with gradients
that are unscaled, averaged over accumulated batches, and not clipped yet: exactly the effective
gradient. The tap stands in for that method and for `apply` on the optimiser *instance*, so the
model, its class and its configuration stay as they are, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_lcb.training import ops
from keras_lcb.training.layers import check_trainable_model, tracked_layers
from keras_lcb.training.meter import RING_ROWS, NormMeter

_ATTRIBUTE = "_gradient_tap"


def tap_of(model: keras.Model, optimizer: Any) -> GradientTap:
    """The model's tap: the one it has, unless it was compiled or frozen otherwise since.

    Args:
        model: A built model.
        optimizer: The Keras optimizer that trains it, most often `model.optimizer`.

    Returns:
        The tap, not open yet.

    Raises:
        ValueError: If the model or its optimizer cannot be tapped.
    """
    tap = vars(model).get(_ATTRIBUTE)
    if tap is not None and tap.is_current(optimizer):
        return tap
    successor = GradientTap(model, optimizer)
    if tap is not None:
        tap.close()
        successor.adopt(tap)
    object.__setattr__(model, _ATTRIBUTE, successor)
    return successor


class GradientTap:
    """Feeds a `NormMeter` from the updates of one model's optimizer.

    A `fit` that fails calls no callback's end, so the tap cannot rely on being closed. It opens
    when a `fit` begins, and lets go as soon as a training function is asked for the next time,
    which is what every `fit` and `train_on_batch` does first.

    Args:
        model: A built model.
        optimizer: The Keras optimizer that trains it.
    """

    def __init__(self, model: keras.Model, optimizer: Any) -> None:
        check_optimizer(model, optimizer)
        self.model = model
        self.variables = [v for layer in tracked_layers(model).layers for v in layer.variables]
        self.meter = NormMeter(self.variables)
        self._optimizer = optimizer
        if not optimizer.built:
            with keras.name_scope(optimizer.name, caller=optimizer):  # as it would itself
                optimizer.build(model.trainable_variables)
        self._inner = getattr(self._optimizer, "inner_optimizer", self._optimizer)
        self._compilation = _compilation(model, optimizer)
        self._plain_function: Any = None
        self._tapped_function: Any = None
        self._receiving: list[Any] = []  # the variables whose gradients are on their way
        self._patches: list[tuple[Any, str]] = []
        self._held = self._open = False

    def is_current(self, optimizer: Any) -> bool:
        """Whether the model still is compiled and frozen as it was when the tap was made."""
        now = _compilation(self.model, optimizer)
        same_length = len(now) == len(self._compilation)
        return same_length and all(a is b for a, b in zip(now, self._compilation, strict=True))

    def adopt(self, predecessor: GradientTap) -> None:
        """Goes on feeding the readers of the tap before this one."""
        self._replace_meter(predecessor.meter, predecessor.meter.ring_rows)

    def keep_each_update(self, rows: int = RING_ROWS) -> None:
        """Has the meter keep each update's norms, `rows` of them between two drains."""
        if self.meter.ring_rows < rows:
            self.close()
            self._replace_meter(self.meter, rows)

    def _replace_meter(self, old: NormMeter, ring_rows: int) -> None:
        self.meter = NormMeter(self.variables, ring_rows)
        self._tapped_function = None  # its trace writes to the old meter
        for window in old.windows:
            self.meter.attach(window)

    # The life of one fit.

    def open(self) -> None:
        """Measures the `fit` that has just begun, with a training function of its own."""
        if self._open:
            return
        try:
            self._patch_all()
        except ValueError:
            self._unpatch()
            raise
        self._open = True
        if self.model.train_function is not self._plain_function:
            self._plain_function = self.model.train_function
            self._tapped_function = None  # traced under what held before
        self.model.train_function = self._tapped_function
        if not self._held:
            type(self.model).make_train_function(self.model)

    def hold(self) -> None:
        """Opens the tap until `close`, whoever makes training functions meanwhile."""
        self._held = True
        self.open()
        self.carry_state()

    def drain(self) -> None:
        """Reads what was measured so far into the readers' windows."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        self.meter.drain()

    def close(self) -> None:
        """Leaves model and optimizer as if the tap had never been there."""
        if self._open:
            self.drain()
            self._open = False
            self._drop_state()
            if self._compiled_since():
                self._tapped_function = None
            else:
                self._tapped_function = self.model.train_function
                self.model.train_function = self._plain_function
        self._unpatch()
        self._held = False

    def _make_train_function(self, force: bool = False) -> Any:
        if force:
            self._plain_function = None  # what made this necessary concerns it, too
        elif not self._held:
            self.close()
        return type(self.model).make_train_function(self.model, force=force)

    def _compiled_since(self) -> bool:
        return self._compilation[0] is not _compilation(self.model, self._optimizer)[0]

    def _patch_all(self) -> None:
        inner, outer = self._inner, self._optimizer
        self._patch(self.model, "make_train_function", self._make_train_function)
        self._patch(inner, "_clip_gradients", self._measured_gradients(inner._clip_gradients))
        self._patch(inner, "apply", self._measured_update(inner.apply))
        if outer is not inner:
            _count_skipped(self, outer)
        if keras.backend.backend() == "jax":
            self._patch_for_jax()

    def _patch(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        if name in vars(owner):
            raise ValueError(
                f"`{name}` of {type(owner).__name__} '{owner.name}' has been replaced by other "
                "code, so its gradients cannot be measured. Remove that code, or the callback."
            )
        object.__setattr__(owner, name, method)
        self._patches.append((owner, name))

    def _unpatch(self) -> None:
        for owner, name in reversed(self._patches):
            object.__delattr__(owner, name)
        self._patches.clear()

    # In the training step.

    def _measured_gradients(self, clip: Callable[..., Any]) -> Callable[..., Any]:
        def clip_gradients(gradients: Any) -> Any:
            gradients = list(gradients)
            self.meter.add_gradients(self._receiving, gradients)
            return clip(gradients)

        return clip_gradients

    def _measured_update(self, apply: Callable[..., Any]) -> Callable[..., Any]:
        def apply_and_measure(grads: Any, trainable_variables: Any = None) -> Any:
            grads = list(grads)
            trained = self._inner._trainable_variables
            variables = trained if trainable_variables is None else list(trainable_variables)
            self._receiving = [
                variable
                for gradient, variable in zip(grads, variables, strict=False)
                if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
            ]
            before = ops.read(trained)
            result = apply(grads, trainable_variables)
            self.meter.add_updates(trained, before, [v.value for v in trained])
            return result

        return apply_and_measure

    # JAX: the state of a step travels with the optimizer's variables.

    def carry_state(self) -> None:
        """Has the step carry the meter's variables (JAX; elsewhere they are simply captured)."""
        carried = self._inner._variables
        if self._open and keras.backend.backend() == "jax":
            present = {id(variable) for variable in carried}
            carried.extend(v for v in self.meter.variables if id(v) not in present)

    def _drop_state(self) -> None:
        if keras.backend.backend() != "jax":
            return
        own = {id(variable) for variable in self.meter.variables}
        carried = self._inner._variables
        carried[:] = [variable for variable in carried if id(variable) not in own]

    def _patch_for_jax(self) -> None:
        for optimizer in dict.fromkeys([self._inner, self._optimizer]):
            for name in ("save_own_variables", "load_own_variables"):
                self._patch(optimizer, name, self._without_state(getattr(optimizer, name)))
        finalize = self._optimizer.finalize_variable_values

        def close_and_finalize(variables: Any) -> None:
            # `fit` comes here even when it fails, with the state back in its variables.
            if not self._held:
                self.close()
            finalize(variables)

        self._patch(self._optimizer, "finalize_variable_values", close_and_finalize)

    def _without_state(self, method: Callable[[Any], None]) -> Callable[[Any], None]:
        def save_or_load(store: Any) -> None:
            carried = list(self._inner._variables)
            self._drop_state()
            try:
                method(store)
            finally:
                self._inner._variables[:] = carried

        return save_or_load


def check_optimizer(model: keras.Model, optimizer: Any) -> None:
    """Refuses what the tap cannot measure, in a sentence.

    Raises:
        ValueError: For a composite optimizer other than `LossScaleOptimizer`, several replicas,
            or an optimizer without the method that the tap stands in for.
    """
    check_trainable_model(model, optimizer)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(inner, "optimizers"):
        raise ValueError(
            f"{type(inner).__name__} hands its gradients on to several optimizers, whose updates "
            "cannot be told apart by layer. Compile with a single optimizer, or do without "
            "GradientNorms and LayerwiseModel; LayerConvergence works with it."
        )
    if not all(hasattr(inner, name) for name in ("_clip_gradients", "_trainable_variables")):
        raise ValueError(
            f"The optimizer {type(inner).__name__} of Keras {keras.__version__} has no step at "
            "which gradients can be measured. Use an optimizer of keras.optimizers."
        )
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        raise ValueError(
            f"The model trains on {strategy.num_replicas_in_sync} replicas of a tf.distribute "
            "strategy, where gradients are reduced after the step that is measured. Train on one "
            "replica, or do without GradientNorms and LayerwiseModel; LayerConvergence works there."
        )


def _compilation(model: keras.Model, optimizer: Any) -> tuple[Any, ...]:
    """What a traced training step depends on: the compilation, and which variables train."""
    return (getattr(model, "_compile_config", None), optimizer, *model.trainable_variables)


def _count_skipped(tap: GradientTap, scaler: Any) -> None:
    """Counts the steps that a loss scaler leaves out because of a non-finite gradient."""
    stateful = scaler._stateful_handle_non_finite_grads
    stateless = scaler._stateless_handle_non_finite_grads

    def skip() -> Any:
        tap.meter.add_skipped()
        return stateful()

    def skip_statelessly(optimizer_variables: Any, trainable_variables: Any) -> Any:
        kept, new = stateless(optimizer_variables, trainable_variables)
        new = list(new)
        for place, variable in enumerate(scaler.variables):
            if variable is tap.meter.skipped:
                new[place] = new[place] + 1
        return kept, new

    tap._patch(scaler, "_stateful_handle_non_finite_grads", skip)
    tap._patch(scaler, "_stateless_handle_non_finite_grads", skip_statelessly)
