"""The loss of a batch: the compiled loss of a model, or a loss that is given instead."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.landscape import ops
from keras_lcb.landscape.chunks import chunk, copied
from keras_lcb.landscape.samples import Batch
from keras_lcb.training.layers import tracked_layers

Tensors = Sequence[Any]
_ROUNDING = 1e-4  # how far the loss may be from the mean of its halves, relative to them


@dataclasses.dataclass(frozen=True)
class Trial:
    """What has been learned from computing the loss of one batch.

    Attributes:
        shapes: The shapes of the outputs, targets and weights, without the axis of the samples.
        why_not_mean: Why the loss of all samples is not the mean of the losses of chunks; `None`
            if it is this mean.
    """

    shapes: tuple[Any, ...]
    why_not_mean: str | None


def loss_of(model: keras.Model, given: Any, training: bool) -> CompiledLoss | ModelFunction:
    """Returns the loss to measure, as a function of weights and a batch.

    Args:
        model: A built model.
        given: `None` for the compiled loss; or what `compile(loss=...)` takes; or a function
            whose first parameter is called `model`, see `ModelFunction`.
        training: Whether layers behave as in training.

    Raises:
        ValueError: If a function has other parameters, or if the model computes its loss only in
            its own `train_step`.
    """
    if given is None:
        compiled = CompiledLoss(model, training)
        compiled.check_is_known()
        return compiled
    if _parameters(given)[:1] == ["model"]:
        return ModelFunction(model, given, training)
    return GivenLoss(model, given, training)


def loss_name(given: Any) -> str:
    """Returns the name of a loss for a run: "compiled" for `None`, otherwise its own name."""
    if given is None or isinstance(given, str):
        return given or "compiled"
    return str(getattr(given, "name", None) or getattr(given, "__name__", type(given).__name__))


class CompiledLoss:
    """The loss that `fit` computes for a batch, regularisation penalties included."""

    def __init__(self, model: keras.Model, training: bool) -> None:
        compiled = internals.compiled_loss(model)
        self._model = model
        self._training = training
        self._compiled = None if compiled is None else internals.copy_of_compiled_loss(compiled)
        self._compute = internals.loss_function_of(model)
        self._has_own_compute_loss = type(model).compute_loss is not keras.Model.compute_loss

    def __call__(self, trainable: Tensors, others: Tensors, batch: Batch) -> Any:
        """Computes the loss, a scalar tensor that can be differentiated.

        The call leaves the model unchanged, including moving statistics and random states.

        Args:
            trainable: A tensor for each of `model.trainable_variables`.
            others: A tensor for each of `model.non_trainable_variables`.
            batch: Inputs, targets and weights.
        """
        batch = copied(batch)
        with ops.draws_undone(), _at(self._model, trainable, others):
            return self._compared(batch, self._predicted(batch[0]))

    def _predicted(self, x: Any) -> Any:
        takes_training = internals.takes_training(self._model)
        return self._model(x, **({"training": self._training} if takes_training else {}))

    def _compared(self, batch: Batch, predicted: Any) -> Any:
        x, y, sample_weight = batch
        return self._compute(
            x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=self._training
        )

    def separated(self) -> contextlib.AbstractContextManager[None]:
        """Has the model compute its loss with a separate loss object for a while.

        The model's own loss object creates metrics when it is first used. It must not do this
        inside a compiled function.
        """
        return internals.with_compiled_loss(self._model, self._compiled)

    def tried(self, trainable: Tensors, others: Tensors, batch: Batch) -> Trial:
        """Computes the loss once, outside of a compiled function.

        This creates the variables that the loss needs, and shows whether it can be computed.

        Raises:
            ValueError: If the model has no loss, its loss needs targets and there are none, or it
                is not a scalar.
        """
        _, y, sample_weight = batch
        value: Any = None
        with ops.draws_undone(), self.separated():
            with _at(self._model, trainable, others) as scope:
                predicted = self._predicted(batch[0])
                self._check_exists()
            with _explaining_missing_targets(self._model, y):
                if self._has_own_compute_loss:
                    with _at(self._model, trainable, others):
                        _check_scalar(self._compared(copied(batch), predicted), "`compute_loss`")
                elif self._compiled is not None:  # outside of the scope: it creates variables
                    value = self._compiled(y, predicted, copied(sample_weight))
        _check_reduced(value)
        shapes = _shapes((predicted, y, sample_weight))
        reason = self._why_not_mean(predicted, scope.losses, sample_weight)
        if reason is None and not self._is_mean(y, predicted, sample_weight):
            reason = "the loss of a batch is not the mean over its samples"
        return Trial(shapes, reason)

    def check_is_known(self) -> None:
        """Checks that the loss is known, and not hidden in a `train_step` of the model.

        Raises:
            ValueError: If the model has its own `train_step`, but no compiled loss and no
                `compute_loss` of its own.
        """
        own_step = not internals.is_of_keras(type(self._model).train_step)
        if own_step and self._compiled is None and not self._has_own_compute_loss:
            raise ValueError(
                f"Received the model '{self._model.name}', which has a `train_step` of its own and "
                "no compiled loss, so its loss is not known. Pass `loss`: what "
                "`compile(loss=...)` takes, or a function `loss(model, x, y)` that returns a "
                "scalar tensor."
            )

    def _check_exists(self) -> None:
        if self._compiled is None and not self._has_own_compute_loss and not self._model.losses:
            raise ValueError(
                f"Received the model '{self._model.name}', which is compiled without a loss. Call "
                "`model.compile(loss=...)`, or pass `loss`."
            )

    def _why_not_mean(self, predicted: Any, added: Tensors, sample_weight: Any) -> str | None:
        """Returns the reason of `Trial.why_not_mean`, as a clause that follows "because"."""
        if self._has_own_compute_loss:
            return "the model computes its loss in its own method `compute_loss`"
        if added:
            return "layers add losses of their own (`add_loss` or an activity regulariser)"
        if any(map(internals.has_mask, keras.tree.flatten(predicted))):
            return "each chunk has another number of masked steps"
        compiled = self._compiled
        reductions = set() if compiled is None else internals.reductions_of(compiled)
        weighted = sample_weight is not None
        if not reductions <= {"sum_over_batch_size", "mean"} | (
            set() if weighted else {"mean_with_sample_weight"}
        ):
            return f"the loss uses the reduction {', '.join(sorted(map(str, reductions)))}"
        if compiled is not None and internals.ignores_a_class(compiled):
            return "each chunk has another number of samples of the ignored class (`ignore_class`)"
        if self._training and self._has_state():
            return "in training mode, layers draw random numbers or use the statistics of the batch"
        return None

    def _is_mean(self, y: Any, predicted: Any, sample_weight: Any) -> bool:
        """Compares the loss of a batch with the mean of those of its halves."""
        samples = len(keras.tree.flatten(predicted)[0])
        if self._compiled is None or samples < 2:
            return True
        half = samples // 2
        batch = y, predicted, sample_weight
        with ops.draws_undone(), self.separated():
            losses = [
                float(self._compiled(*copied(chunk(batch, start, size))))
                for start, size in ((0, samples), (0, half), (half, samples - half))
            ]
        mean = (half * losses[1] + (samples - half) * losses[2]) / samples
        size = sum(map(abs, losses))
        return not abs(losses[0] - mean) > _ROUNDING * size  # also where a loss is NaN

    def _has_state(self) -> bool:
        """Returns whether layers have a state of their own, such as moving statistics or seeds.

        The non-trainable variables of a model are such states, and the weights of frozen layers.
        """
        frozen = {id(v) for row in tracked_layers(self._model).layers for v in row.variables}
        return any(id(v) not in frozen for v in self._model.non_trainable_variables)


class GivenLoss(CompiledLoss):
    """The loss that `fit` would compute for a batch if the model were compiled with this loss.

    Args:
        model: A built model.
        given: What `compile(loss=...)` takes.
        training: Whether layers behave as in training.

    Raises:
        ValueError: If a function does not take targets and outputs.
    """

    def __init__(self, model: keras.Model, given: Any, training: bool) -> None:
        _check_takes_two(given)
        super().__init__(model, training)
        names = getattr(model, "output_names", None)
        self._compiled = internals.new_compiled_loss(given, names)
        self._compute = functools.partial(keras.Model.compute_loss, model)
        self._has_own_compute_loss = False


class ModelFunction:
    """A user's function of the model that returns the whole loss of a batch.

    Args:
        model: A built model.
        given: The function. Its first parameter is called `model`. It may also have the
            parameters `x`, `y`, `sample_weight` and `training`. It returns a scalar tensor.
        training: Value of the parameter `training`.

    Raises:
        ValueError: If the function has other parameters, or if `training` is `True` and the
            function has no parameter of this name.
    """

    _KNOWN = ("model", "x", "y", "sample_weight", "training")

    def __init__(self, model: keras.Model, given: Callable[..., Any], training: bool) -> None:
        self._model, self._given, self._training = model, given, training
        self._parameters = _parameters(given)
        self._name = loss_name(given)
        if not set(self._parameters) <= set(self._KNOWN):
            raise ValueError(
                f"A loss function of the model may have the parameters {', '.join(self._KNOWN)}; "
                f"received a function of ({', '.join(self._parameters)}). Rename its parameters."
            )
        if training:
            self._check_takes("training", "`training=True`")

    def __call__(self, trainable: Tensors, others: Tensors, batch: Batch) -> Any:
        """Computes the loss, like `CompiledLoss`."""
        values = dict(zip(self._KNOWN, (self._model, *copied(batch), self._training), strict=True))
        with ops.draws_undone(), _at(self._model, trainable, others):
            return self._given(**{name: values[name] for name in self._parameters})

    def separated(self) -> contextlib.AbstractContextManager[None]:
        """Does nothing, since this loss does not use the model's compiled loss."""
        return contextlib.nullcontext()

    def tried(self, trainable: Tensors, others: Tensors, batch: Batch) -> Trial:
        """Computes the loss once, outside of a compiled function.

        Raises:
            ValueError: If the function does not return a scalar, needs targets and there are none,
                or has no parameter for the sample weights that were given.
        """
        _, y, sample_weight = batch
        if sample_weight is not None:
            self._check_takes("sample_weight", "`sample_weight`")
        with _explaining_missing_targets(self._model, y):
            _check_scalar(self(trainable, others, batch), f"The loss function `{self._name}`")
        return Trial((), "the loss is a function of the model")

    def _check_takes(self, name: str, received: str) -> None:
        if name not in self._parameters:
            raise ValueError(
                f"Received {received}, but the loss function `{self._name}` has no parameter "
                f"`{name}`, so this would have no effect. Add the parameter to the function, or "
                f"leave `{name}` out."
            )


def _at(model: keras.Model, trainable: Tensors, others: Tensors) -> keras.StatelessScope:
    """Returns a scope in which the model has these values, and cannot change its variables."""
    values = [
        *zip(model.trainable_variables, trainable, strict=True),
        *zip(model.non_trainable_variables, others, strict=True),
    ]
    return keras.StatelessScope(values, collect_losses=True)


@contextlib.contextmanager
def _explaining_missing_targets(model: keras.Model, y: Any) -> Iterator[None]:
    """Raises an error that mentions the missing targets if a loss fails without them."""
    try:
        yield
    except Exception as error:  # a user's loss may raise any exception
        if y is not None:
            raise
        raise ValueError(
            f"Received no targets, and the loss of the model '{model.name}' cannot be computed "
            f"without them ({type(error).__name__}: {error}). Pass `y`, or a data set of (x, y) "
            "batches."
        ) from error


def _check_scalar(value: Any, whose: str) -> None:
    shape = getattr(value, "shape", None)
    if shape is None or tuple(shape) != ():
        received = type(value).__name__ if shape is None else f"the shape {tuple(shape)}"
        raise ValueError(
            f"{whose} must return the loss of the batch as a scalar tensor; received {received}. "
            "Average it, for example with `keras.ops.mean`."
        )


def _check_reduced(value: Any) -> None:
    """Checks that a loss, if there is one, is a scalar."""
    if value is not None and tuple(value.shape) != ():
        raise ValueError(
            "The loss must be one number for each batch; received a loss with "
            f"`reduction='none'`, which returns the shape {tuple(value.shape)}. Make it with "
            "`reduction='sum_over_batch_size'`, and compile the model with it or pass it as `loss`."
        )


def _check_takes_two(loss: Any) -> None:
    if not callable(loss) or isinstance(loss, keras.losses.Loss):
        return
    try:
        inspect.signature(loss).bind(None, None)
    except TypeError as error:
        raise ValueError(
            "A loss function must be `loss(y_true, y_pred)`, or a function of the model, "
            "`loss(model, x, y, sample_weight, training)`, which may leave out all parameters but "
            f"`model`; received a function of ({', '.join(_parameters(loss))})."
        ) from error


def _parameters(loss: Any) -> list[str]:
    """Returns the names of a function's parameters."""
    return list(inspect.signature(loss).parameters) if callable(loss) else []


def _shapes(values: Any) -> tuple[Any, ...]:
    """Returns the shapes of arrays, without the axis of the samples."""
    return tuple(None if v is None else tuple(v.shape[1:]) for v in keras.tree.flatten(values))
