"""Follows a Keras optimizer: its updates, their number, and its learning rates."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from keras_lcb.backend import internals, ops
from keras_lcb.training.layers import TrackedLayer

if TYPE_CHECKING:
    from keras_lcb.training.scaling import Scaling


class Receiver(Protocol):
    """The interface of what receives each update while a training step runs or is traced."""

    @property
    def variables(self) -> list[keras.Variable]:
        """The followed variables."""

    @property
    def measures(self) -> bool:
        """Whether the receiver measures anything."""

    @property
    def needs_weights(self) -> bool:
        """Whether the receiver needs the weights before and after an update."""

    def before_update(self) -> None:
        """Is called before an update, when all variables of the model exist."""

    def add(
        self, variables: Sequence[keras.Variable], gradients: Any, before: Any, after: Any
    ) -> None:
        """Measures one update, given its gradients, and the weights before and after it."""

    def skip(self) -> None:
        """Counts a step that a loss scaler skipped."""

    def where(self, applied: Any, add: Callable[[], None]) -> None:
        """Calls `add`, and undoes its effects if `applied` is false."""


class KerasOptimizer:
    """Follows an optimizer of `keras.optimizers`; composite ones part by part.

    While a step runs or is traced, a wrapper replaces `apply` of each optimizer that updates
    variables. `apply` receives the gradients that the user's training step computed, already
    unscaled if a loss scaler wraps the optimizer. Before the update, `apply` itself divides them by
    a fixed loss scale and adds up accumulated batches. The wrapper repeats these two computations,
    since their results are not visible from outside.

    Args:
        optimizer: The optimizer.
    """

    def __init__(self, optimizer: keras.Optimizer) -> None:
        if hasattr(optimizer, "inner_optimizer"):
            internals.check("loss scaler", optimizer)
        for part in internals.parts_of(optimizer):
            internals.check("optimizer", part)
        self.optimizer = optimizer
        self._known: dict[int, tuple[int, Any, np.ndarray]] = {}  # cache of `_trains`
        self._updated: dict[int, set[int]] = {}  # for each part, the ids of what it has updated
        self._marked: dict[int, Any] = {}  # for each part, its steps at the last `mark`
        self._not_made: dict[int, int] = {}  # for each part, updates that only Keras counts

    @property
    def parts(self) -> list[Any]:
        """The optimizers that update variables."""
        return internals.parts_of(self.optimizer)

    @property
    def kind(self) -> str:
        """The optimizer's class name; for a composite one, the class names of its parts."""
        return "+".join(dict.fromkeys(type(part).__name__ for part in self.parts))

    @property
    def steps_per_update(self) -> int:
        """The number of batches per update; the smallest one if parts differ."""
        return min((p.gradient_accumulation_steps or 1 for p in self.parts), default=1)

    @property
    def moves_between_updates(self) -> bool:
        """Whether weights change with batches that are only accumulated.

        Keras overwrites weights with their average after each batch, if the next update is one at
        which they are to be overwritten.
        """
        return any(
            part.gradient_accumulation_steps and part.use_ema and part.ema_overwrite_frequency
            for part in self.parts
        )

    def iterations(self) -> int:
        """Returns how many updates were applied; the largest number if parts differ."""
        return max(
            (self._applied(part, internals.steps_of(part)) for part in self.parts), default=0
        )

    @property
    def not_made(self) -> int:
        """How many updates Keras has counted that were not made; the largest number of a part."""
        return max(self._not_made.values(), default=0)

    def mark(self) -> None:
        """Keeps the present count of each part on the device."""
        self._marked = {id(part): ops.read([internals.steps_of(part)])[0] for part in self.parts}

    def nothing_since_mark(self) -> None:
        """Notes that updates which were counted since `mark` were not made.

        A step on TensorFlow finds out within itself that there is no further batch. Keras' count,
        which does not depend on the batch, may have grown by then. It is not set back, since
        learning rate schedules and Adam use it: weights stay as they are without the callbacks.
        """
        for part in self.parts:
            if id(part) in self._marked:
                now, marked = internals.steps_of(part), self._marked[id(part)]
                more = self._applied(part, now) - self._applied(part, marked)
                self._not_made[id(part)] = self._not_made.get(id(part), 0) + more
        self._marked = {}

    def _applied(self, part: Any, steps: Any) -> int:
        """Returns how many updates were applied after so many steps of a part of the optimizer."""
        applied = int(ops.on_host(steps)) // (part.gradient_accumulation_steps or 1)
        return applied - self._not_made.get(id(part), 0)

    def rates(self, rows: Sequence[TrackedLayer]) -> np.ndarray:
        """Returns the current learning rate of each layer; NaN for layers it does not train.

        An optimizer that is not built yet may train all layers.
        """
        rates = np.full(len(rows), math.nan)
        for part in self.parts:
            trains = self._trains(part, rows) if part.built else slice(None)
            rates[trains] = float(ops.on_host(part.learning_rate))
        return rates

    def _trains(self, part: Any, rows: Sequence[TrackedLayer]) -> np.ndarray:
        """Returns for each layer whether a part of the optimizer trains it.

        It may be built with more variables than it then updates, so its updates tell if any of them
        has been followed.
        """
        ids = self._updated.get(id(part)) or {id(v) for v in internals.variables_trained_by(part)}
        known = self._known.get(id(part))
        if known is None or known[0] != len(ids) or known[1] is not rows:
            trained = [any(id(v) in ids for v in row.variables) for row in rows]
            known = self._known[id(part)] = len(ids), rows, np.array(trained, bool)
        return known[2]

    @contextlib.contextmanager
    def in_force(self, receiver: Receiver, scaling: Scaling | None = None) -> Iterator[None]:
        """Reports each update to the receiver within this context.

        Args:
            receiver: The receiver of gradients and weights.
            scaling: Scales the steps layer by layer. Defaults to `None`: steps are not scaled.
        """
        optimizer = self.optimizer
        with contextlib.ExitStack() as stack:
            if hasattr(optimizer, "inner_optimizer"):
                stack.enter_context(
                    internals.replaced(optimizer, _noting_skips(optimizer, receiver))
                )
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if hasattr(inner, "optimizers"):
                stand_ins = {"apply": self._apply_in_parts(inner, receiver, scaling)}
                stack.enter_context(internals.replaced(inner, stand_ins))
            else:
                stack.enter_context(self._followed(inner, receiver, scaling))
            yield

    def _apply_in_parts(self, composite: Any, receiver: Receiver, scaling: Scaling | None) -> Any:
        """Returns a replacement for `apply` of a composite optimizer.

        The parts may exist only once the composite optimizer is built, so they are wrapped inside.
        """
        apply = composite.apply

        def apply_followed(grads: Any, trainable_variables: Any = None) -> Any:
            if not composite.built:
                composite.build(list(trainable_variables))  # as `apply` does
                composite.built = True
            with contextlib.ExitStack() as stack:
                for part in self.parts:
                    stack.enter_context(self._followed(part, receiver, scaling))
                return apply(grads, trainable_variables)

        return apply_followed

    @contextlib.contextmanager
    def _followed(self, part: Any, receiver: Receiver, scaling: Scaling | None) -> Iterator[None]:
        """Follows one optimizer that is not composite."""
        reduced = ops.Reduced(part)
        apply, stand_ins = part.apply, dict(reduced.stand_ins)
        if scaling is not None:
            apply = scaling.around(part, apply)
            stand_ins |= scaling.stand_ins(part)
        updated = self._updated.setdefault(id(part), set())
        stand_ins["apply"] = _measured(part, apply, receiver, reduced, updated)
        with internals.replaced(part, stand_ins):
            yield


def _measured(
    part: Any,
    apply: Callable[..., Any],
    receiver: Receiver,
    reduced: ops.Reduced,
    updated: set[int],
) -> Callable[..., Any]:
    """Returns a replacement for `apply` that also reports the update to the receiver.

    It adds the ids of the variables that are updated to `updated`.
    """

    def apply_and_measure(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        if trainable_variables is None:
            named = internals.variables_trained_by(part)
        else:
            named = trainable_variables = list(trainable_variables)
        reached = [
            (variable, gradient)
            for variable, gradient in zip(named, grads, strict=False)
            if gradient is not None and not internals.is_overwritten_by_gradient(variable)
        ]
        variables = [variable for variable, _ in reached]
        updated.update(map(id, variables))
        receiver.before_update()
        if not (receiver.measures and variables):
            return apply(grads, trainable_variables)
        if part.gradient_accumulation_steps and not part.built:
            _build_as_apply_does(part, named)
        gradients, applied = _effective(part, reached)
        before = ops.read(variables) if receiver.needs_weights else None
        result = apply(grads, trainable_variables)
        after = ops.read(variables) if receiver.needs_weights else None
        gradients = reduced.of(gradients)
        add = functools.partial(receiver.add, variables, gradients, before, after)
        if applied is None:
            add()
        else:
            receiver.where(applied, add)
        return result

    return apply_and_measure


def _build_as_apply_does(part: Any, variables: Sequence[keras.Variable]) -> None:
    with keras.name_scope(part.name, caller=part):
        part.build(variables)
    part.built = True


def _effective(part: Any, reached: Sequence[tuple[Any, Any]]) -> tuple[list[Any], Any]:
    """Returns the effective gradients, and whether this call of `apply` makes an update.

    Args:
        part: The optimizer.
        reached: Pairs of a variable and its gradient.

    Returns:
        The gradients, unscaled and averaged over accumulated batches. Second, `None` if each call
        makes an update; otherwise a boolean tensor that says whether this call does.
    """
    gradients = [gradient for _, gradient in reached]
    scale = part.loss_scale_factor
    if scale is not None:
        gradients = [ops.dense(gradient) / scale for gradient in gradients]
    count = part.gradient_accumulation_steps
    if not count:
        return gradients, None
    sums = ops.read([internals.accumulated_gradient(part, variable) for variable, _ in reached])
    gradients = [(ops.dense(g) + s) / count for g, s in zip(gradients, sums, strict=True)]
    return gradients, (ops.read([internals.steps_of(part)])[0] + 1) % count == 0


def _noting_skips(scaler: Any, receiver: Receiver) -> dict[str, Any]:
    """Returns replacements for the loss scaler's methods that handle non-finite gradients."""
    stateful = scaler._stateful_handle_non_finite_grads

    def skip() -> Any:
        receiver.skip()
        return stateful()

    def skip_statelessly(optimizer_variables: Any, trainable_variables: Any) -> Any:
        mapping = list(zip(scaler.variables, optimizer_variables, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            skip()
        return trainable_variables, [
            scope.get_current_value(variable) for variable in scaler.variables
        ]

    return {
        "_stateful_handle_non_finite_grads": skip,
        "_stateless_handle_non_finite_grads": skip_statelessly,
    }
