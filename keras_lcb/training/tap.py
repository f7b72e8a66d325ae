"""The tap: measures inside the updates of a training, for the length of one `fit`.

A model has one tap, which all its callbacks share. The tap makes Keras build a second training
function, in which the optimizers' `apply` is replaced by one that also feeds a meter. The model,
its optimizers, their classes and configurations stay as they are, and nothing is computed twice.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_lcb.backend import internals, ops
from keras_lcb.training.carried_state import CarriedState
from keras_lcb.training.feed import Feed
from keras_lcb.training.layers import build_all, is_complete, tracked_layers, unbuilt
from keras_lcb.training.measurement import Measurement
from keras_lcb.training.meter import Meter
from keras_lcb.training.optimizers import followed, optimizers_of
from keras_lcb.training.reader import Reader
from keras_lcb.training.shared_context import SharedContext
from keras_lcb.training.training_functions import TrainingFunctions
from keras_lcb.training.update_count import most_updates
from keras_lcb.training.waiting import Waiting

if TYPE_CHECKING:
    from keras_lcb.training.scaling import Scaling

_ATTRIBUTE = "_keras_lcb_tap"


def tap_of(model: keras.Model) -> Tap:
    """Returns the model's tap. The first call creates it."""
    tap = internals.remembered(model, _ATTRIBUTE)
    if tap is None:
        internals.check("model", model)
        tap = Tap(model)
        internals.remember(model, _ATTRIBUTE, tap)
    return tap


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
        self._measurement = Measurement()
        self.scaling: Scaling | None = None
        self.readers: list[Reader] = []
        self._own_readers: list[Reader] = []  # those of a LayerwiseModel, which stay
        self._held_readers: list[Reader] = []  # those of `track`, which stay until `close`
        self._own_scaling: Scaling | None = None
        self._leaving: list[Callable[[], None]] = []
        self._goes_on = False  # over several `fit` calls
        self._hooks: list[Callable[[Any], None]] = []  # called after each execution
        # Called before and after each `evaluate`.
        self._evaluating: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._waiting = Waiting()
        self._given: Any = None  # optimizers that the user passed
        self._functions = TrainingFunctions(self)
        self._stand_in = self._execute  # what Keras calls instead
        self._carried = CarriedState(model) if keras.backend.backend() == "jax" else None
        self._variables: list[keras.Variable] | None = None  # of all layers, once asked for
        self._open, self._force = contextlib.ExitStack(), SharedContext(self._replace)
        self.is_open = self._held = self._prepared = self._of_model = False
        self._executed = False  # whether a step has run since the tap was opened
        self.executions = 0  # how often the training function has run, in all trainings
        self._may_run_out = False  # whether a step may find that there is no further batch

    @property
    def model(self) -> keras.Model:
        """The model."""
        model = self._model()
        assert model is not None  # the model owns the tap, so it lives at least as long
        return model

    @property
    def meters(self) -> list[Meter]:
        """The meters: one or, on JAX, one for each followed optimizer; none without readers."""
        return self._measurement.meters

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
        self._functions.make_with(make)
        self._of_model = True

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
        """Scales the steps of the training that begins."""
        self.scaling, self._prepared = scaling, False

    def on_leaving(self, leave: Callable[[], None]) -> None:
        """Registers a function to call when this training ends, or else when the next begins."""
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

    def around_evaluation(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        """Registers functions to be called before and after `evaluate` in this training."""
        if (before, after) not in self._evaluating:
            self._evaluating.append((before, after))

    def evaluate(self, evaluate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls `evaluate`, and before and after it the functions of `around_evaluation`."""
        evaluating = list(self._evaluating)
        for before, _ in evaluating:
            before()
        result = evaluate(*args, **kwargs)
        for _, after in evaluating:
            after()
        return result

    def data_may_run_out(self) -> None:
        """Prepares for data whose length is not known, in the training that begins.

        On TensorFlow, the last execution of a step in an epoch then finds no batch, and Keras may
        count an update that is not made.
        """
        if ops.END_OF_DATA:
            self._may_run_out = True
            self.open()

    def before_first_update(
        self, attach: Callable[[], None], begin: Callable[[], None] | None = None
    ) -> None:
        """Registers functions to be called within the first step, which builds the model.

        Args:
            attach: Called when all variables exist.
            begin: Called when the variables have their initial values, before the first update.
                Defaults to `None`.
        """
        self._waiting.add(attach, begin)

    # The life of one fit.

    def open(self) -> None:
        """Replaces the model's training function, so that its next steps are measured."""
        self._functions.replace_by(self._stand_in)
        if not self.is_open:
            self.is_open, self._executed = True, False
            if not self._of_model:
                evaluate = functools.partial(self.evaluate, self.model.evaluate)
                replacements = {
                    "make_train_function": self._make_train_function,
                    "evaluate": evaluate,
                }
                self._open.enter_context(internals.replaced(self.model, replacements))

    def prepare(self) -> None:
        """Prepares meters and training function for the readers.

        On JAX this must happen between two epochs, since a step cannot be changed within one.
        """
        if self._waiting.is_for_variables and not self._executed and is_complete(self.model):
            self._waiting.attach()
        if not self._prepared:
            self._choose_meters()
            self._force.renew()  # `track` may hold what was right for the meters of before
            if not self._waiting.is_for_variables:
                self._function()
        if not self._waiting.is_for_variables:
            self._waiting.begin()

    def hold(self) -> None:
        """Measures all updates that the optimizers make until `close`, also outside of `fit`."""
        self.open()
        self.prepare()
        if not self._held:
            self._held = True
            self._held_readers = list(self.readers)
            self._open.enter_context(self.in_force())
            if self._carried is not None:
                self._open.enter_context(self._carried.left_out_of_files())

    def drain(self) -> None:
        """Reads what was measured so far into the readers."""
        if self._held:
            internals.sync_state(self.model)
        self.settle()
        # A hand-written loop on JAX holds copies of the sums, so resetting them has no effect.
        self._measurement.pass_on(set_back=not self._holds_copies)

    def begin_windows(self, reader: Reader) -> None:
        """Resets those quantities of a reader whose state starts anew with each record."""
        self._measurement.begin_windows(reader)

    @property
    def _holds_copies(self) -> bool:
        return self._held and self._carried is not None

    def end_training(self) -> None:
        """Detaches the callbacks of a `fit`, and closes the tap unless `track` holds it."""
        if not self._held:
            self.close()
            return
        self.drain()
        self._detach(self._held_readers)

    def close(self) -> None:
        """Restores model and optimizers to what they were before the tap was opened."""
        if self.is_open:
            self.drain()
            if self._holds_copies:
                self._measurement.begin()
            if self._held or not self._of_model:
                self.is_open = self._held = False
                self._open.close()
            if not self._of_model:
                self._functions.restore(self._stand_in)
        self._waiting, self._given, self._held_readers = Waiting(), None, []
        self._detach(self._own_readers)

    def _detach(self, staying: Sequence[Reader]) -> None:
        if self.readers != staying:
            self.readers, self._prepared = list(staying), False
        if self.scaling is not self._own_scaling:
            self.scaling, self._prepared = self._own_scaling, False
        self._hooks, self._evaluating, self._may_run_out = [], [], False
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
            or self._waiting.is_for_variables
            or self._leaving
        )

    def begin_training(self, force: bool) -> None:
        """Detaches the readers of the previous training, since Keras begins a new one.

        Args:
            force: Whether training functions must be made anew.
        """
        if force:
            self._functions.forget(None)  # the plain training function is outdated, too
        elif self._has_guests and not (self._held or self._goes_on):
            self.close()

    def _make_train_function(self, force: bool = False) -> Any:
        """Replaces the model's method while the tap is open."""
        model = self.model
        if force or not internals.is_within_fit(model):
            self.begin_training(force)
        if not self.is_open:
            return type(model).make_train_function(model)
        if model.train_function is None:
            self._follow_compilation()
        return None

    def _follow_compilation(self) -> None:
        """Measures on after the model was compiled while the tap was open."""
        found = optimizers_of(self.model, self._given, in_fit=False)
        if [id(each) for each in found] != [id(each.optimizer) for each in self.optimizers]:
            raise ValueError(
                f"The model '{self.model.name}' was compiled with another optimizer within "
                "`track`, which follows the optimizer of before. Compile the model before `track`, "
                "or with the same optimizer object."
            )
        self._functions.replace_by(self._stand_in)

    def settle(self) -> None:
        """Assigns the values that steps carry on JAX to their variables, which may then be set."""
        if self._carried is not None:
            self._carried.sync()

    # Training functions.

    def _execute(self, *args: Any) -> Any:
        """Replaces the model's training function while the tap is open."""
        self.prepare()
        self._executed = True
        function = self._function()
        with self._around(*args):
            if self._carried is None:
                logs = result = self._execute_on_data(function, *args)
            else:
                logs, state = result = self._execute_on_jax(function, *args)
                if self._hooks or self._held:
                    internals.offer_state(self.model, state)
        self.executions += 1
        if self._measurement.is_full_after_next(most_updates(self.model, self.optimizers)):
            self.drain()
        for hook in list(self._hooks):
            hook(logs)
        return result

    def _execute_on_data(self, function: Any, *args: Any) -> Any:
        if not self._may_run_out:
            return function(*args)
        for optimizer in self.optimizers:
            optimizer.mark()
        try:
            return function(*args)
        except ops.END_OF_DATA:
            for optimizer in self.optimizers:
                optimizer.nothing_since_mark()
            raise

    def _execute_on_jax(self, function: Any, state: Any, iterator: Any) -> Any:
        assert self._carried is not None
        measured = not self._held and (self.meters or self.scaling)
        try:
            if measured:
                return self._carried.run(function, state, iterator)
            return function(state, iterator)
        except BaseException:
            # Keras has emptied the variables. A step that is refused while it is traced has not
            # used up their values.
            internals.take_back_state(self.model, state)
            raise

    @contextlib.contextmanager
    def _around(self, *args: Any) -> Iterator[None]:
        """Puts replacements in force while a training function runs, if that is needed.

        Usually they are needed only while a step is traced, and the measured step itself sees to
        that. On torch, however, steps are not traced. And a training function that the user's own
        `make_train_function` returns may not call the measured step.
        """
        with contextlib.ExitStack() as stack:
            if keras.backend.backend() == "torch":
                stack.enter_context(self.in_force())
                if self.scaling is not None:
                    ((batch,),) = args
                    stack.enter_context(self.scaling.allowed())
                    stack.enter_context(self.scaling.of_step(batch))
            elif not internals.is_of_keras(type(self.model).make_train_function):
                stack.enter_context(self.in_force())
                if self.scaling is not None:
                    stack.enter_context(self.scaling.allowed())
            yield

    def _function(self) -> Any:
        """Returns the training function for the current meters. Keras makes it if it is new."""
        if self.meters or self.scaling is not None or self._waiting.is_for_variables:
            return self._functions.measuring()
        return self._functions.plain()

    def carrying(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which the optimizers hold the meters' state, on JAX."""
        return self._carried.within_optimizer() if self._carried else contextlib.nullcontext()

    def before_step(self, batch: Any) -> None:
        """Builds a LayerwiseModel before its first step, which is already scaled."""
        if not (self._of_model and self._waiting.is_for_variables):
            return
        with ops.outside_graph():
            build_all(self.model, batch)
            self._waiting.attach()
            self._choose_meters_within_step()
            self._force.renew()

    def in_force(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which the optimizers' updates are measured."""
        return self._force.entered()

    def _replace(self, stack: contextlib.ExitStack) -> None:
        for number, optimizer in enumerate(self.optimizers):
            stack.enter_context(optimizer.in_force(Feed(self, number), self.scaling))
        stack.enter_context(self.carrying())

    # `Feed` uses these while a step runs or is traced.

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables of all layers."""
        if self._variables is None:
            layers = tracked_layers(self.model).layers
            self._variables = [v for layer in layers for v in layer.variables]
        return self._variables

    @property
    def scales(self) -> bool:
        """Whether steps are scaled layer by layer."""
        return self.scaling is not None and self.scaling.is_in_use

    def meter_of(self, number: int) -> Meter | None:
        """Returns the meter of the optimizer with this number; `None` if nothing is measured."""
        return self.meters[number if len(self.meters) > 1 else 0] if self.meters else None

    def before_update(self) -> None:
        """Calls the functions that have waited for the first update."""
        if not (self._waiting.is_for_variables or self._waiting.is_for_values):
            return
        if self._carried is not None:
            raise ValueError(
                f"The model '{self.model.name}' has layers that are not built "
                f"({', '.join(unbuilt(self.model))}), and on JAX a training step cannot create "
                "variables. Call the model on one batch, `model(x[:1])`, before training. Build "
                "layers that it never calls with `layer.build(shape)`, or remove them."
            )
        with ops.outside_graph():
            if self._waiting.is_for_variables:
                self._waiting.attach()
                self._choose_meters_within_step()
            # If a step creates variables, TensorFlow traces it twice, and sets their values in
            # between.
            if ops.have_values(self.model.weights):
                self._waiting.begin()

    # The meters.

    def _choose_meters_within_step(self) -> None:
        """Chooses meters for a step that is already running or being traced."""
        self._choose_meters()
        self._functions.meters_have_changed()

    def _choose_meters(self) -> None:
        """Chooses meters for the readers: known ones if they suffice, otherwise new ones."""
        self.settle()
        self._prepared, self._variables = True, None
        count = len(self.optimizers) if self._carried is not None else 1
        self._measurement.choose(self.model, self.readers, count, self._functions.known_meters)
        if self._carried is not None:
            owners: list[list[Any]] = [[meter] for meter in self.meters] or [[]]
            owners[0] += [self.scaling] if self.scaling else []
            optimizers = [each.optimizer for each in self.optimizers]
            self._carried.carry(list(zip(optimizers, owners, strict=False)))
