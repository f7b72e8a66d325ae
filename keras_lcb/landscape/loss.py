"""The loss of a batch: the model's compiled one, or one that is given in its place.

What landscapes need of Keras that is private stands in this file only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileLoss

from keras_lcb.landscape import ops
from keras_lcb.landscape.samples import Batch
from keras_lcb.training.layers import tracked_layers

Tensors = Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Trial:
    """What the loss of one batch has shown.

    Attributes:
        shapes: The shapes of the outputs, targets and weights, without the axis of the samples.
        whole_only: Why the loss of all samples is no mean over batches; `None` if it is.
    """

    shapes: tuple[Any, ...]
    whole_only: str | None


def loss_of(model: keras.Model, given: Any, training: bool) -> CompiledLoss | ModelFunction:
    """The loss that a landscape is drawn of.

    Args:
        model: A built model.
        given: `None` for the compiled loss. Or what `compile(loss=...)` takes. Or a function
            whose first parameter is called `model`, see `ModelFunction`.
        training: Whether layers behave as in training.

    Raises:
        ValueError: For a function of something else, or a model whose loss stands in its training
            step only.
    """
    if given is None:
        compiled = CompiledLoss(model, training)
        compiled.check_is_trained_on()
        return compiled
    if _parameters(given)[:1] == ["model"]:
        return ModelFunction(model, given, training)
    return GivenLoss(model, given, training)


def loss_name(given: Any) -> str:
    """What a loss is called in a run: "compiled" for `None`, else its name."""
    if given is None or isinstance(given, str):
        return given or "compiled"
    return str(getattr(given, "name", None) or getattr(given, "__name__", type(given).__name__))


class CompiledLoss:
    """The loss that `fit` would give for a batch, penalties included."""

    def __init__(self, model: keras.Model, training: bool) -> None:
        known = model._compile_loss
        self._model = model
        self._training = training
        self._compile_loss = known and type(known)(
            known._user_loss, known._user_loss_weights, output_names=known.output_names
        )
        self._compute = model._compute_loss
        self._is_own = type(model).compute_loss is not keras.Model.compute_loss

    def __call__(self, trainable: Tensors, others: Tensors, batch: Batch) -> Any:
        """The loss, a scalar tensor that can be differentiated.

        Nothing that the model's call would change is changed.

        Args:
            trainable: A tensor for each of `model.trainable_variables`.
            others: A tensor for each of `model.non_trainable_variables`.
            batch: Inputs, targets and weights.
        """
        with ops.draws_undone(), _at(self._model, trainable, others):
            return self._compared(batch, self._predicted(batch[0]))

    def _predicted(self, x: Any) -> Any:
        options = {"training": self._training} if self._model._call_has_training_arg else {}
        return self._model(x, **options)

    def _compared(self, batch: Batch, predicted: Any) -> Any:
        x, y, sample_weight = batch
        return self._compute(
            x=x, y=y, y_pred=predicted, sample_weight=sample_weight, training=self._training
        )

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Has the model compute its loss with an object of ours.

        Its own makes metrics when it is first used, and inside a compiled function at that.
        """
        attributes = vars(self._model)
        kept = attributes["_compile_loss"]
        attributes["_compile_loss"] = self._compile_loss
        try:
            yield
        finally:
            attributes["_compile_loss"] = kept

    def tried(self, trainable: Tensors, others: Tensors, batch: Batch) -> Trial:
        """Computes the loss once, so that what it needs is made, or found to be missing.

        Raises:
            ValueError: If there is no loss, or none without targets.
        """
        _, y, sample_weight = batch
        with ops.draws_undone(), self.apart():
            with _at(self._model, trainable, others) as scope:
                predicted = self._predicted(batch[0])
                self._check_there_is_one()
            with _targets_asked_for(self._model, y):
                if self._is_own:
                    with _at(self._model, trainable, others):
                        _check_scalar(self._compared(batch, predicted), "`compute_loss`")
                elif self._compile_loss is not None:  # not in a scope, since it makes variables
                    self._compile_loss(y, predicted, sample_weight)
        shapes = _shapes((predicted, y, sample_weight))
        return Trial(shapes, self._why_whole_only(predicted, scope.losses, sample_weight))

    def check_is_trained_on(self) -> None:
        """Refuses a loss of penalties alone where a training step of its own may add others.

        Raises:
            ValueError: If the model has such a step, and neither compiled loss nor `compute_loss`.
        """
        own_step = type(self._model).train_step is not keras.Model.train_step
        if own_step and self._compile_loss is None and not self._is_own:
            raise ValueError(
                f"The model '{self._model.name}' has a `train_step` of its own and no compiled "
                "loss, so its loss is not known. Pass `loss`: what `compile(loss=...)` takes, or "
                "a function `loss(model, x, y)` that returns a scalar tensor."
            )

    def _check_there_is_one(self) -> None:
        if self._compile_loss is None and not self._is_own and not self._model.losses:
            raise ValueError(
                f"The model '{self._model.name}' is compiled without a loss. Call "
                "`model.compile(loss=...)`, or pass `loss`."
            )

    def _why_whole_only(self, predicted: Any, added: Tensors, sample_weight: Any) -> str | None:
        if self._is_own:
            return "the model computes its loss in its own way (`compute_loss`)"
        if added:
            return "layers add losses of their own (`add_loss` or an activity regulariser)"
        if any(getattr(p, "_keras_mask", None) is not None for p in keras.tree.flatten(predicted)):
            return "masked steps count differently in each chunk"
        losses = self._compile_loss._flat_losses if self._compile_loss is not None else []
        reductions = {getattr(entry.loss, "reduction", None) for entry in losses}
        weighted = sample_weight is not None
        if not reductions <= {"sum_over_batch_size", "mean"} | (
            set() if weighted else {"mean_with_sample_weight"}
        ):
            return f"the loss is reduced by {', '.join(sorted(map(str, reductions)))}"
        if self._training and self._has_state():
            return "layers draw at random or take statistics of the batch in training mode"
        return None

    def _has_state(self) -> bool:
        """Whether there are variables that no freezing makes: moving statistics, seed states."""
        frozen = {id(v) for row in tracked_layers(self._model).layers for v in row.variables}
        return any(id(v) not in frozen for v in self._model.non_trainable_variables)


class GivenLoss(CompiledLoss):
    """The loss that `fit` would give for a batch, had the model been compiled with it.

    Args:
        model: A built model.
        given: What `compile(loss=...)` takes.
        training: Whether layers behave as in training.

    Raises:
        ValueError: For a function that does not take targets and outputs.
    """

    def __init__(self, model: keras.Model, given: Any, training: bool) -> None:
        _check_takes_two(given)
        super().__init__(model, training)
        names = getattr(model, "output_names", None)
        self._compile_loss = CompileLoss(given, output_names=names)
        self._compute = functools.partial(keras.Model.compute_loss, model)
        self._is_own = False


class ModelFunction:
    """A function of the model that returns the loss of a batch, all of it.

    Args:
        model: A built model.
        given: Its first parameter is called `model`; others that it may have are `x`, `y`,
            `sample_weight` and `training`. It returns a scalar tensor.
        training: What it is told.

    Raises:
        ValueError: If it has other parameters, or is not to be told that layers behave as in
            training.
    """

    _KNOWN = ("model", "x", "y", "sample_weight", "training")

    def __init__(self, model: keras.Model, given: Callable[..., Any], training: bool) -> None:
        self._model, self._given, self._training = model, given, training
        self._asked = _parameters(given)
        self._name = loss_name(given)
        if not set(self._asked) <= set(self._KNOWN):
            raise ValueError(
                f"A loss function of the model has the parameters {', '.join(self._KNOWN)}, or "
                f"some of them; received one of {', '.join(self._asked)}."
            )
        if training:
            self._check_asked("training", "`training=True`")

    def __call__(self, trainable: Tensors, others: Tensors, batch: Batch) -> Any:
        """The loss, as that of `CompiledLoss`."""
        told = dict(zip(self._KNOWN, (self._model, *batch, self._training), strict=True))
        with ops.draws_undone(), _at(self._model, trainable, others):
            return self._given(**{name: told[name] for name in self._asked})

    def apart(self) -> contextlib.AbstractContextManager[None]:
        """Changes nothing: what the model has compiled is not used."""
        return contextlib.nullcontext()

    def tried(self, trainable: Tensors, others: Tensors, batch: Batch) -> Trial:
        """Computes the loss once.

        Raises:
            ValueError: If it is no scalar, cannot be computed without targets, or leaves out
                weights that there are.
        """
        _, y, sample_weight = batch
        if sample_weight is not None:
            self._check_asked("sample_weight", "weights")
        with _targets_asked_for(self._model, y):
            _check_scalar(self(trainable, others, batch), f"The loss function `{self._name}`")
        return Trial((), "the loss is a function of the model")

    def _check_asked(self, name: str, received: str) -> None:
        if name not in self._asked:
            raise ValueError(
                f"The loss function `{self._name}` has no parameter `{name}`, so {received} would "
                f"have no effect on it. Give it that parameter, or leave `{name}` out."
            )


def _at(model: keras.Model, trainable: Tensors, others: Tensors) -> keras.StatelessScope:
    """Where a model has other values than its variables hold, and changes none."""
    values = [
        *zip(model.trainable_variables, trainable, strict=True),
        *zip(model.non_trainable_variables, others, strict=True),
    ]
    return keras.StatelessScope(values, collect_losses=True)


@contextlib.contextmanager
def _targets_asked_for(model: keras.Model, y: Any) -> Iterator[None]:
    """Says that targets are missing where a loss fails without them."""
    try:
        yield
    except Exception as error:  # any code may stand in a loss
        if y is not None:
            raise
        raise ValueError(
            f"The loss of the model '{model.name}' cannot be computed without targets "
            f"({type(error).__name__}: {error}). Pass `y`, or a data set of (x, y) batches."
        ) from error


def _check_scalar(value: Any, whose: str) -> None:
    shape = getattr(value, "shape", None)
    if shape is None or tuple(shape) != ():
        received = type(value).__name__ if shape is None else f"the shape {tuple(shape)}"
        raise ValueError(
            f"{whose} must return a scalar tensor, the loss of the batch, for example with "
            f"`keras.ops.mean`; received {received}."
        )


def _check_takes_two(loss: Any) -> None:
    if not callable(loss) or isinstance(loss, keras.losses.Loss):
        return
    try:
        inspect.signature(loss).bind(None, None)
    except TypeError as error:
        raise ValueError(
            "A loss function takes targets and outputs, `loss(y_true, y_pred)`, or the model, "
            "`loss(model, x, y, sample_weight, training)` or some of these under these names; "
            f"received one of ({', '.join(_parameters(loss))})."
        ) from error


def _parameters(loss: Any) -> list[str]:
    return list(inspect.signature(loss).parameters) if callable(loss) else []


def _shapes(values: Any) -> tuple[Any, ...]:
    return tuple(None if v is None else tuple(v.shape[1:]) for v in keras.tree.flatten(values))
