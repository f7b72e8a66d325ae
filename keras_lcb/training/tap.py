"""The tap: measures inside the updates of a training, for the length of one `fit`.

A model has one tap, which all its callbacks share. The tap makes Keras build a second training
function, in which the optimizers' `apply` is replaced by one that also feeds a meter. The model,
its optimizers, their classes and configurations stay as they are, and nothing is computed twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.backend import internals, ops
from keras_lcb.training.carried_state import CarriedState
from keras_lcb.training.feed import Feed
from keras_lcb.training.layers import is_complete, tracked_layers
from keras_lcb.training.meter import Meter
from keras_lcb.training.optimizers import followed, optimizers_of
from keras_lcb.training.reader import Reader, requested_by, slots_of

if TYPE_CHECKING:
    from keras_lcb.training.scaling import Scaling

_ATTRIBUTE = "_keras_lcb_tap"
_KEPT = 2  # how many training functions are kept, each for another set of quantities


def tap_of(model: keras.Model) -> Tap:
    """Returns the model's tap. The first call creates it."""
    tap = internals.remembered(model, _ATTRIBUTE)
    if tap is None:
        internals.check("model", model)
        tap = Tap(model)
        internals.remember(model, _ATTRIBUTE, tap)
    return tap


@dataclasses.dataclass(eq=False)
class _Measured:
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


class Tap:
    """Measures the updates of one model, and passes the measurements to readers.

    If `fit` fails, Keras does not call `on_train_end`, so the tap may stay open. It closes itself
    when Keras next asks for a training function, which every `fit` and `train_on_batch` does first.

    Args:
        model: The model, built or not.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = weakref.ref(model)
        self.optimizers: list[Any] = []
        self.meters: list[Meter] = []  # one; on JAX, one for each followed optimizer
        self.scaling: Scaling | None = None
        self.readers: list[Reader] = []
        self._own_readers: list[Reader] = []  # those of a LayerwiseModel, which stay
        self._own_scaling: Scaling | None = None
        self._leaving: list[Callable[[], None]] = []
        self._goes_on = False  # over several `fit` calls
        # Each reader with the slots of its quantities and the places of its rows in the meters.
        self._wired: list[tuple[Reader, list[int], list[frozenset[int]]]] = []
        self._hooks: list[Callable[[Any], None]] = []  # called after each execution
        # Callbacks that wait until all variables of the model exist.
        self._waiting: list[tuple[Callable[[], None], Callable[[], None] | None]] = []
        # Callbacks that wait until these variables have values.
        self._beginning: list[Callable[[], None]] = []
        self._given: Any = None  # optimizers that the user passed
        self._make = lambda: type(self.model).make_train_function(self.model)
        self._plain: Any = None  # Keras' training function without measurement
        self._stand_in = self._execute  # what Keras calls instead
        self._known: list[_Measured] = []
        self._running: _Measured | None = None
        self._carried = CarriedState(model) if keras.backend.backend() == "jax" else None
        self._open, self._force = contextlib.ExitStack(), contextlib.ExitStack()
        self.is_open = self._held = self._prepared = self._of_model = False
        self._executed = False  # whether a step has run since the tap was opened
        self._depth = 0  # of nested `_in_force` contexts
        self._undrained = 0  # executions since the meters were last read
        self._most_at_once = 0  # the most updates seen in one execution; 0 if unknown

    @property
    def model(self) -> keras.Model:
        """The model."""
        model = self._model()
        assert model is not None  # the model owns the tap, so it lives at least as long
        return model

    # Who takes part.

    def follow(self, given: Any = None, *, in_fit: bool = True) -> list[Any]:
        """Follows the optimizers of the model, or those given, and returns them.

        Args:
            given: An optimizer, or a list of optimizers, for all callbacks of this `fit`. Defaults
                to `None`: they are found in the model.
            in_fit: Whether `fit` makes the updates. Defaults to `True`.

        Raises:
            ValueError: If there is no optimizer, or one of them cannot be followed.
        """
        if given is not None:
            self._given = given
        known = {id(each.optimizer): each for each in self.optimizers}
        found = optimizers_of(self.model, self._given, in_fit=in_fit)
        self.optimizers = [known.get(id(each)) or followed(each) for each in found]
        return self.optimizers

    def belong_to_model(self, make: Callable[[], Any]) -> None:
        """Makes the tap stay open from one training to the next, for a `LayerwiseModel`.

        Args:
            make: Keras' method that makes a training function.
        """
        self._make, self._of_model = make, True

    def stay_with(self, reader: Reader, scaling: Scaling) -> None:
        """Makes a `LayerwiseModel` itself take part in each training.

        Args:
            reader: Collects what the model logs.
            scaling: Scales the model's steps.
        """
        self.scaling = self._own_scaling = scaling
        self._own_readers = [reader]
        self.readers = [reader, *(each for each in self.readers if each is not reader)]
        self._prepared = False

    def attach(self, reader: Reader) -> None:
        """Adds a reader for the training that begins."""
        if reader not in self.readers:
            self.readers.append(reader)
            self._prepared = False

    def scale_by(self, scaling: Scaling) -> None:
        """Has the steps of the training that begins scaled."""
        self.scaling, self._prepared = scaling, False

    def on_leaving(self, leave: Callable[[], None]) -> None:
        """Has a function called when this training is over, if need be when the next one begins."""
        if leave not in self._leaving:
            self._leaving.append(leave)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Within this context several `fit` calls are one training."""
        self._goes_on = True
        try:
            yield
        finally:
            self._goes_on = False

    def after_execution(self, hook: Callable[[Any], None]) -> None:
        """Registers a function to be called with the logs after each execution of the step."""
        if hook not in self._hooks:
            self._hooks.append(hook)

    def before_first_update(
        self, attach: Callable[[], None], begin: Callable[[], None] | None = None
    ) -> None:
        """Registers functions to be called within the first step, which builds the model.

        Args:
            attach: Called when all variables exist.
            begin: Called when the variables have their initial values, before the first update.
                Defaults to `None`.
        """
        if (attach, begin) not in self._waiting:
            self._waiting.append((attach, begin))

    # The life of one fit.

    def open(self) -> None:
        """Replaces the model's training function, so that its next steps are measured."""
        model = self.model
        if model.train_function is not self._stand_in:
            if model.train_function is not self._plain:
                self._forget(model.train_function)
            model.train_function = self._stand_in
        if not self.is_open:
            self.is_open, self._executed = True, False
            if not self._of_model:
                replacement = {"make_train_function": self._make_train_function}
                self._open.enter_context(internals.replaced(model, replacement))

    def prepare(self) -> None:
        """Prepares meters and training function for the readers.

        On JAX this must happen between two epochs, since a step cannot be changed within one.
        """
        if self._waiting and not self._executed and is_complete(self.model):
            self._attach_waiting()
        if not self._prepared:
            self._choose_meters()
            if not self._waiting:
                self._function()
        if not self._waiting:
            self._begin_waiting()

    def hold(self) -> None:
        """Measures all updates that the optimizers make until `close`, also outside of `fit`."""
        self.open()
        self.prepare()
        if not self._held:
            self._held = True
            self._open.enter_context(self._in_force())
            if self._carried is not None:
                self._open.enter_context(self._carried.left_out_of_files())

    def drain(self) -> None:
        """Reads what was measured so far into the readers."""
        if self._held:
            internals.sync_state(self.model)
        self.settle()
        # A hand-written loop on JAX holds copies of the sums, so resetting them has no effect.
        readings = [meter.drain(set_back=not self._holds_copies) for meter in self.meters]
        for reading in readings:
            if reading is not None:
                for reader, slots, places in self._wired:
                    reader.add(reading, slots, places)
        if self._undrained:
            updates = sum(reading.updates for reading in readings if reading is not None)
            self._most_at_once = max(self._most_at_once, -(-updates // self._undrained), 1)
            self._undrained = 0

    def begin_windows(self, reader: Reader) -> None:
        """Resets those quantities of a reader whose state starts anew with each record."""
        for wired, slots, _ in self._wired:
            if wired is reader:
                windowed = [s for s, q in zip(slots, reader.quantities, strict=True) if q.window]
                for meter in self.meters:
                    for slot in windowed:
                        meter.begin_anew(slot)

    @property
    def _holds_copies(self) -> bool:
        return self._held and self._carried is not None

    def _keep_up(self) -> None:
        """Reads the values of single updates before they are overwritten on the device."""
        rows = self.meters[0].ring_rows if self.meters else 0
        self._undrained += 1
        if rows and (self._undrained + 1) * (self._most_at_once or rows) > rows:
            self.drain()

    def close(self) -> None:
        """Restores model and optimizers to what they were before the tap was opened."""
        if self.is_open:
            self.drain()
            if self._holds_copies:
                for meter in self.meters:
                    meter.begin()
            if self._held or not self._of_model:
                self.is_open = self._held = False
                self._open.close()
            if not self._of_model and self.model.train_function is self._stand_in:
                self.model.train_function = self._plain
        if self.readers != self._own_readers:
            self.readers, self._prepared = list(self._own_readers), False
        if self.scaling is not self._own_scaling:
            self.scaling, self._prepared = self._own_scaling, False
        self._hooks, self._waiting, self._beginning, self._given = [], [], [], None
        leaving, self._leaving = self._leaving, []
        for leave in leaving:
            leave()

    @property
    def _has_guests(self) -> bool:
        """Whether anybody takes part in this training only."""
        return bool(
            self.readers != self._own_readers
            or self.scaling is not self._own_scaling
            or self._hooks
            or self._waiting
            or self._leaving
        )

    def begin_training(self, force: bool) -> None:
        """Detaches the readers of the previous training, since Keras begins a new one.

        Args:
            force: Whether training functions must be made anew.
        """
        if force:
            self._forget(None)  # the plain training function is outdated, too
        elif self._has_guests and not (self._held or self._goes_on):
            self.close()

    def _make_train_function(self, force: bool = False) -> Any:
        """Replaces the model's method while the tap is open."""
        model = self.model
        if force or not internals.is_within_fit(model):
            self.begin_training(force)
        if not self.is_open:
            return type(model).make_train_function(model)
        return None

    def settle(self) -> None:
        """Assigns the values that steps carry on JAX to their variables, which may then be set."""
        if self._carried is not None:
            self._carried.sync()

    def _forget(self, plain: Any) -> None:
        self._plain = plain
        self._known.clear()

    # Training functions.

    def _execute(self, *args: Any) -> Any:
        """Replaces the model's training function while the tap is open."""
        self.prepare()
        self._executed = True
        function = self._function()
        with self._around(*args):
            if self._carried is None:
                logs = result = function(*args)
            else:
                logs, state = result = self._execute_on_jax(function, *args)
                if self._hooks or self._held:
                    internals.offer_state(self.model, state)
        self._keep_up()
        for hook in list(self._hooks):
            hook(logs)
        return result

    def _execute_on_jax(self, function: Any, state: Any, iterator: Any) -> Any:
        if self._held or not (self.meters or self.scaling):
            return function(state, iterator)
        assert self._carried is not None
        return self._carried.run(function, state, iterator)

    @contextlib.contextmanager
    def _around(self, *args: Any) -> Iterator[None]:
        """Puts replacements in force while a training function runs, if that is needed.

        Usually they are needed only while a step is traced, and the measured step itself sees to
        that. On torch, however, steps are not traced. And a training function that the user's own
        `make_train_function` returns may not call the measured step.
        """
        with contextlib.ExitStack() as stack:
            if keras.backend.backend() == "torch":
                stack.enter_context(self._in_force())
                if self.scaling is not None:
                    ((batch,),) = args
                    stack.enter_context(self.scaling.of_step(batch))
            elif not internals.is_of_keras(type(self.model).make_train_function):
                stack.enter_context(self._in_force())
            yield

    def _function(self) -> Any:
        """Returns the training function for the current meters. Keras makes it if it is new."""
        if not self.meters and self.scaling is None and not self._waiting:
            if self._plain is None:
                self._plain = self._made_by_keras()
            return self._plain
        if self._running not in self._known or not self._running.serves(self):
            self._running = next((known for known in self._known if known.serves(self)), None)
        if self._running is None:
            step = self._measured_step(self.model.train_step, self._trains_as_traced())
            with internals.replaced(self.model, {"train_step": step}):
                function = self._made_by_keras()
            made_for = list(self.meters), list(self.optimizers), self.scaling, self.scales
            self._running = _Measured(*made_for, function)
            self._known = [*self._known, self._running][-_KEPT:]
        return self._running.function

    def _made_by_keras(self) -> Any:
        """Returns a new training function that Keras makes of the model's training step."""
        model = self.model
        kept, model.train_function = model.train_function, None
        try:
            with contextlib.ExitStack() as stack:
                if self._carried is not None:  # JAX lays the results out over devices like these
                    stack.enter_context(self._carried.within_optimizer())
                self._make()
            return model.train_function
        finally:
            model.train_function = kept

    def _carry(self) -> None:
        assert self._carried is not None
        own = [list(meter.variables) for meter in self.meters] or [[]]
        own[0] += self.scaling.variables if self.scaling else []
        optimizers = [each.optimizer for each in self.optimizers]
        self._carried.carry(list(zip(optimizers, own, strict=False)))

    def _trains_as_traced(self) -> Callable[[keras.Variable], bool] | None:
        """Finds out which variables Keras' own traced step trains on TensorFlow.

        Keras ignores it if a layer is frozen or unfrozen after tracing without `compile`. The
        measured step must then train the same variables as the step that was traced before.

        Returns:
            A function that says whether a variable is trained; `None` if the flags `trainable` of
            the variables say so correctly.
        """
        if keras.backend.backend() != "tensorflow" or not is_complete(self.model):
            return None
        built_for = {
            id(v)
            for optimizer in self.optimizers
            for part in optimizer.parts
            for v in internals.variables_trained_by(part)
        }
        if {id(v) for v in self.variables if v.trainable} == built_for:
            return None  # nothing was frozen or unfrozen since the optimizers were built
        from keras_lcb.backend.traced_steps import variables_written

        written = variables_written(self._plain)
        if written is None or all((id(v.value) in written) == v.trainable for v in self.variables):
            return None
        return lambda variable: id(variable.value) in written

    def _measured_step(
        self, step: Callable[..., Any], trains: Callable[[keras.Variable], bool] | None
    ) -> Callable[..., Any]:
        """Returns the model's training step with measurement, for Keras to trace."""
        model = self.model
        layers = [model, *internals.flattened(model)]

        @functools.wraps(step)
        def measured(*args: Any) -> Any:
            if self._of_model and self._waiting:
                self._build_first(args[-1])
            flags = internals.trained_as(layers, trains) if trains else contextlib.nullcontext()
            with self._in_force(), flags:
                if self.scaling is None:
                    return step(*args)
                with self.scaling.of_step(*args):
                    return step(*args)

        return measured

    def _build_first(self, batch: Any) -> None:
        """Builds a LayerwiseModel before its first step, which is already scaled."""
        model = self.model
        with ops.outside_graph():
            internals.build_layers(model, batch)
            if not is_complete(model):
                raise ValueError(
                    f"The model '{model.name}' has layers that its `call` does not build, so "
                    "their steps cannot be scaled. Build these layers before training."
                )
            self._attach_waiting()
            self._choose_meters_within_step()

    @contextlib.contextmanager
    def _in_force(self) -> Iterator[None]:
        """Measures the optimizers' updates within this context.

        The contexts may overlap, because each replica of a strategy runs the step in a thread of
        its own. Therefore the replacements stay until the last context ends.
        """
        self._depth += 1
        try:
            if self._depth == 1:
                for number, optimizer in enumerate(self.optimizers):
                    feed = Feed(self, number)
                    self._force.enter_context(optimizer.in_force(feed, self.scaling))
                if self._carried is not None:
                    self._force.enter_context(self._carried.within_optimizer())
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._force.close()

    # `Feed` uses these while a step runs or is traced.

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all layers."""
        return [v for layer in tracked_layers(self.model).layers for v in layer.variables]

    @property
    def scales(self) -> bool:
        """Whether steps are scaled layer by layer."""
        return self.scaling is not None and self.scaling.is_in_use

    def meter_of(self, number: int) -> Meter | None:
        """Returns the meter of the optimizer with this number; `None` if nothing is measured."""
        return self.meters[number if len(self.meters) > 1 else 0] if self.meters else None

    def before_update(self) -> None:
        """Attaches and begins what has waited for the first update."""
        if not self._waiting and not self._beginning:
            return
        if self._carried is not None:
            raise ValueError(
                f"The model '{self.model.name}' is not built, and on JAX a training step cannot "
                "create variables. Call the model on one batch, `model(x[:1])`, before training."
            )
        with ops.outside_graph():
            if self._waiting:
                self._attach_waiting()
                self._choose_meters_within_step()
            # TensorFlow traces a step that creates variables twice. They get their values between.
            if ops.have_values(self.model.weights):
                self._begin_waiting()

    def _attach_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for attach, begin in waiting:
            attach()
            if begin is not None:
                self._beginning.append(begin)

    def _begin_waiting(self) -> None:
        beginning, self._beginning = self._beginning, []
        for begin in beginning:
            begin()

    # The meters.

    def _choose_meters_within_step(self) -> None:
        """Chooses meters for a step that is already running or being traced."""
        self._choose_meters()
        if self._running is not None:
            self._running.meters, self._running.scaling = list(self.meters), self.scaling
            self._running.scales = self.scales

    def _choose_meters(self) -> None:
        """Chooses meters for the readers: known ones if they suffice, otherwise new ones."""
        self.settle()
        self._prepared, self._wired = True, []
        self.meters = self._meters_for_readers() if self.readers else []
        for meter in self.meters:
            for reader, slots, _ in self._wired:
                meter.begin_for(reader, slots)
        if self._carried is not None:
            self._carry()

    def _meters_for_readers(self) -> list[Meter]:
        layers = [layer.variables for layer in tracked_layers(self.model).layers]
        variables = [variable for layer in layers for variable in layer]
        at = {id(variable): place for place, variable in enumerate(variables)}
        requested = requested_by(self.readers)
        for reader in self.readers:
            places = [frozenset(at[id(v)] for v in row.variables) for row in reader.rows]
            self._wired.append((reader, slots_of(reader, requested), places))
        groups = [group for _, _, places in self._wired for group in places]
        ring_rows = max(reader.ring_rows for reader in self.readers)
        count = len(self.optimizers) if self._carried is not None else 1
        if count > 1 and ring_rows:
            raise ValueError(
                f"On JAX, `per_update=True` can follow one optimizer only; received {count}. Each "
                "optimizer is measured separately there, so the order of their updates is not "
                "known. Leave `per_update` out, or pass a single `optimizer`."
            )
        known = [self.meters, *(each.meters for each in self._known)]
        serving = [
            meters
            for meters in known
            if len(meters) == count
            and all(meter.serves(variables, requested, groups, ring_rows) for meter in meters)
        ]
        if serving:
            return serving[0]
        made_of = layers, requested, groups, ring_rows
        return [Meter(self.model, *made_of) for _ in range(count)]
