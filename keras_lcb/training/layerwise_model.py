"""`LayerwiseModel`: a `keras.Model` with a learning rate and logs for each layer."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras

from keras_lcb.backend import internals, ops
from keras_lcb.backend.internals import Functional
from keras_lcb.training.call_trace import input_specification
from keras_lcb.training.layers import check_built, is_complete
from keras_lcb.training.layerwise_step import LayerwiseStep
from keras_lcb.training.multipliers import LearningRateMultipliers
from keras_lcb.training.tap import tap_of

_OPTIONS = ("learning_rate_multipliers", "gradient_predictiveness", "progress_bar")
_LOGGED = ("gradient_norm/", "update_ratio/", "relative_gradient_change/", "gradient_cosine/")
# Methods that a user's class may override; `from_model` could not take the overridden ones over.
_TRAINING = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


@keras.saving.register_keras_serializable(package="keras_lcb")
class LayerwiseModel(keras.Model):
    """A Keras model that logs the training of each layer and can train each at its own rate.

    Use it in place of `keras.Model`: as `LayerwiseModel(inputs, outputs)`, as the base class of
    your own model, or as `LayerwiseModel.from_model(model)`. Without options, it trains exactly as
    `keras.Model` does, and adds two values for each layer to the logs of `fit` and
    `train_on_batch`, measured over the updates of the epoch so far:

    - `gradient_norm/<layer>`: the root mean square of ‖∇θ‖₂. The gradient is unscaled, before
      clipping, and complete if gradients are accumulated. NaN for a layer without a gradient.
    - `update_ratio/<layer>`: the root mean square of ‖Δθ‖₂, divided by that of ‖θ‖₂ before the
      updates. It is 0 if θ was always 0.

    Both are NaN in an epoch without an update, as with gradient accumulation over several epochs.

    `History`, `CSVLogger` and `TensorBoard` write these logs. `evaluate` does not return them.

    **Learning rates.** A layer with the factor f moves by θ ← θ + f·Δθ, where Δθ is the whole step
    of the optimizer, including weight decay and momentum. A layer with f = 0 does not change at
    all: the optimizer, weight constraints and averages (`use_ema`) do not affect it. With any other
    f, weight constraints are applied after the scaled step, and averages are taken of the scaled
    weights. If a layer gets the factor 0 during training with `use_ema`, Keras still sets it to
    its average at the end of training.

    Args:
        inputs: As for `keras.Model`. Subclasses with a `call` of their own leave it out.
        outputs: As for `keras.Model`.
        name: Name of the model.
        learning_rate_multipliers: A mapping from layer names or prefixes to factors. A layer's
            name is its path within the model, as in a run. Defaults to `None`: a factor of 1 for
            every layer.
        gradient_predictiveness: Whether to measure in each step how well a layer's gradient g
            predicts the gradient after a step. The layer alone is moved to θ − ηg, and its gradient
            is computed again on the same batch with the same dropout masks. `True` uses the current
            learning rate as η; a number sets η. The logs hold the means over the epoch as
            `relative_gradient_change/<layer>`, ‖g(θ − ηg) − g‖₂/‖g‖₂, which is 0 for a perfect
            prediction, and as `gradient_cosine/<layer>`. Each step costs one more forward and
            backward pass for each layer. A `train_step` of your own may change the batch, if it
            passes the new one to `super().train_step`; one that computes gradients itself is
            refused. Stateful RNNs go on from the same states. Source: Santurkar et al. (2018), "How
            does batch normalization help optimization?". Defaults to `False`.
        progress_bar: Whether the progress bar shows these logs, too. Defaults to `False`.
        **kwargs: Further arguments of `keras.Model`.

    Attributes:
        learning_rate_multipliers: The factors, as a mutable mapping. It may be changed at any
            time, also during training: `model.learning_rate_multipliers["block1"] = 0.5`. The
            training step is compiled again only for the first factor other than 1.

    Raises:
        ValueError: If a layer is unknown, or a factor is negative or not finite. Names are checked
            once the model is built. Before the first update, if gradients do not come from Keras'
            own `train_step`, but `gradient_predictiveness` is set.

    Example:
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> hidden = keras.layers.Dense(3, activation="tanh", name="hidden")(inputs)
    >>> outputs = keras.layers.Dense(1, name="head")(hidden)
    >>> model = LayerwiseModel(inputs, outputs, learning_rate_multipliers={"hidden": 0.0})
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    >>> history.history["update_ratio/hidden"]
    [0.0]
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Creates a Functional model if inputs and outputs are given, as `keras.Model` does."""
        if cls is LayerwiseModel and (args or "inputs" in kwargs):
            cls = FunctionalLayerwiseModel
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        learning_rate_multipliers: Mapping[str, float] | None = None,
        gradient_predictiveness: bool | float = False,
        progress_bar: bool = False,
        **kwargs: Any,
    ) -> None:
        if inputs is None:
            super().__init__(name=name, **kwargs)
        else:
            if not isinstance(self, FunctionalLayerwiseModel):
                _make_functional(type(self))
            super().__init__(inputs, outputs, name=name, **kwargs)
        self._layerwise_step: LayerwiseStep | None = None
        self._multipliers = LearningRateMultipliers(self)
        options = {
            "learning_rate_multipliers": learning_rate_multipliers or {},
            "gradient_predictiveness": gradient_predictiveness,
            "progress_bar": progress_bar,
        }
        self._set_options(options | _options_of_clone(outputs))

    @classmethod
    def from_model(cls, model: keras.Model, **options: Any) -> LayerwiseModel:
        """Makes a LayerwiseModel of the layers of another model.

        Both models share their weights, so training one changes the other.

        Args:
            model: A built model. A subclassed model becomes the only layer of the new model; its
                `call` must take a single argument besides `training`.
            **options: `learning_rate_multipliers`, `gradient_predictiveness`, `progress_bar`.

        Returns:
            The new model, which is not compiled.

        Raises:
            ValueError: If the model is not built, overrides a method of Keras' training, or
                cannot be called symbolically.

        Example:
        >>> plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
        >>> model = LayerwiseModel.from_model(plain, learning_rate_multipliers={"lin": 0.5})
        >>> model.layers[-1] is plain.layers[-1]
        True
        """
        check_built(model)
        _check_trains_as_keras_does(model)
        inputs, outputs = _graph_of(model)
        return cls(inputs, outputs, name=model.name, **options)

    @property
    def learning_rate_multipliers(self) -> LearningRateMultipliers:
        """The factors, by layer name or prefix."""
        return self._multipliers

    @learning_rate_multipliers.setter
    def learning_rate_multipliers(self, factors: Mapping[str, float]) -> None:
        self._multipliers.replace(factors)

    def _options(self) -> dict[str, Any]:
        return {
            "learning_rate_multipliers": dict(self._multipliers),
            "gradient_predictiveness": self.gradient_predictiveness,
            "progress_bar": self.progress_bar,
        }

    def _set_options(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if name == "gradient_predictiveness":
                value = _checked_step_size(value)
            setattr(self, name, value)

    # The training step.

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Trains on one batch, as `keras.Model.train_step` does."""
        step = super().train_step
        comparison = self._layerwise_step.comparison if self._layerwise_step is not None else None
        # Keras' own step computes the gradient from the batch that it receives. A step that is not
        # Keras' own may change the batch first, so the comparison begins right before Keras' step.
        if comparison is None or not internals.is_of_keras(step):
            return step(*args, **kwargs)
        given = [kwargs[name] for name in ("state", "data") if name in kwargs]
        comparison.begin(*args, *given)
        result = step(*args, **kwargs)
        comparison.end()
        return result

    def make_train_function(self, force: bool = False) -> Any:
        """Prepares the training step. Keras calls this method before each training."""
        if ops.processes() > 1:
            raise ValueError(
                "A LayerwiseModel cannot be trained with torch.distributed; received "
                f"{ops.processes()} processes. Train it in a single process, or train a plain "
                "model with parameter groups of torch.optim to set learning rates by layer."
            )
        tap = tap_of(self)
        tap.belong_to_model(functools.partial(super().make_train_function, force=True))
        force = force or self.train_function is None
        if force or not internals.is_within_fit(self):
            tap.begin_training(force)
        tap.follow()
        step = self._layerwise_step
        if step is None or not step.is_current():
            if is_complete(self):
                self._begin_to_measure()
            else:  # on TensorFlow, Keras builds the model only within the first step
                tap.before_first_update(self._begin_to_measure)
        tap.open()
        tap.prepare()

    def _begin_to_measure(self) -> None:
        step = LayerwiseStep(self, self._multipliers, self.gradient_predictiveness)
        self._layerwise_step = step
        tap_of(self).stay_with(step.reader, step.scaling)

    def reset_metrics(self) -> None:
        """Resets the metrics, as at the beginning of an epoch."""
        super().reset_metrics()
        if self._layerwise_step is not None:
            self._layerwise_step.reset()

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        # Keras calls this for the logs of an epoch and for those of an evaluation.
        logs = super()._get_metrics_result_or_logs(logs)
        return self._with_own(logs) if isinstance(logs, dict) else logs

    def _with_own(self, logs: dict[str, Any]) -> dict[str, Any]:
        step = self._layerwise_step
        return {**logs, **step.logs()} if step is not None else logs

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Trains on one batch, as `keras.Model.train_on_batch` does."""
        signature = inspect.signature(keras.Model.train_on_batch)
        call = signature.bind(self, *args, **kwargs).arguments
        logs = super().train_on_batch(**{**_without_self(call), "return_dict": True})
        if call.get("return_dict"):
            return self._with_own(logs)
        return self._flatten_metrics_in_order(logs)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains the model, as `keras.Model.fit` does."""
        call = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        callbacks = call.get("callbacks")
        if (
            not self.progress_bar
            and call.get("verbose", "auto") != 0
            and not isinstance(callbacks, keras.callbacks.CallbackList)
        ):
            callbacks = keras.tree.flatten(callbacks) if callbacks is not None else []
            if not any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
                call["callbacks"] = [*callbacks, _MetricsBar()]
        return super().fit(**_without_self(call))

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model, as `keras.Model.evaluate` does."""
        return tap_of(self).evaluate(super().evaluate, *args, **kwargs)

    # Saving.

    def get_config(self) -> dict[str, Any]:
        """Returns the model's configuration, including its options."""
        return {**super().get_config(), **self._options()}

    # Keras reads a subclass's configuration from its constructor if `get_config` is marked so.
    get_config._is_default = True  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LayerwiseModel:
        """Makes a model from its configuration."""
        accepted = inspect.signature(cls.__init__).parameters
        options = {
            name: config.pop(name) for name in _OPTIONS if name in config and name not in accepted
        }
        multipliers = options.pop("learning_rate_multipliers", None)
        if config.get("learning_rate_multipliers"):
            multipliers, config["learning_rate_multipliers"] = (
                config["learning_rate_multipliers"],
                {},
            )
        model = super().from_config(config, custom_objects=custom_objects)
        model._set_options(options)
        if multipliers is not None:
            # The names are checked only when training begins, so that any saved model loads.
            model._multipliers.restore(multipliers)
        return model


@keras.saving.register_keras_serializable(package="keras_lcb")
class FunctionalLayerwiseModel(LayerwiseModel, Functional):
    """The class of `LayerwiseModel(inputs, outputs)`, as `Functional` is of `keras.Model(…)`."""

    def _run_through_graph(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super()._run_through_graph(*args, **kwargs)
        if self.built and "call_fn" in kwargs:
            # Only `keras.models.clone_model` passes `call_fn`. It then calls the constructor of
            # this class with these outputs, but without the options, so they travel on the outputs.
            for tensor in keras.tree.flatten(outputs):
                tensor._options_of_clone = self._options()
        return outputs


def _options_of_clone(outputs: Any) -> dict[str, Any]:
    """Returns the options of the model that `keras.models.clone_model` is copying, if any."""
    options: dict[str, Any] = {}
    for tensor in keras.tree.flatten(outputs):
        options |= vars(tensor).pop("_options_of_clone", {}) if tensor is not None else {}
    return options


class _MetricsBar(keras.callbacks.ProgbarLogger):
    """Keras' progress bar without the logs of each layer."""

    async_safe = True  # as for Keras' own bar

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, _without_own(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, _without_own(logs or {}))


def _without_self(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "self"}


def _without_own(logs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in logs.items() if not name.startswith(_LOGGED)}


def _make_functional(cls: type) -> None:
    """Replaces LayerwiseModel by its functional subclass among the bases of a user's class.

    Whether a subclass is functional is known only once it passes inputs and outputs to the
    constructor. Keras changes the bases of such a class in the same way.
    """
    for ancestor in cls.__mro__:
        if LayerwiseModel in ancestor.__bases__ and ancestor is not FunctionalLayerwiseModel:
            ancestor.__bases__ = tuple(
                FunctionalLayerwiseModel if base is LayerwiseModel else base
                for base in ancestor.__bases__
            )


def _check_trains_as_keras_does(model: keras.Model) -> None:
    for name in _TRAINING:
        method = getattr(type(model), name)
        if not any(method is getattr(known, name) for known in (keras.Model, LayerwiseModel)):
            raise ValueError(
                f"The class {type(model).__name__} defines its own `{name}`, which a "
                "LayerwiseModel made from its layers would not call. Derive "
                f"{type(model).__name__} from `LayerwiseModel` instead of `keras.Model`."
            )


def _graph_of(model: keras.Model) -> tuple[Any, Any]:
    """Returns symbolic inputs and outputs of a model."""
    graph = internals.graph_of(model)
    if graph is not None and type(graph).call is Functional.call:
        return graph.input, graph.output
    try:
        args, kwargs = input_specification(model)
        if kwargs:
            raise ValueError("its `call` takes several arguments")
        inputs = keras.tree.map_structure(
            lambda tensor: keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=tensor.dtype),
            args[0],
        )
        return inputs, model(inputs)
    except Exception as error:  # the model's `call` is the user's code and may raise anything
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"The model '{model.name}' cannot become part of a LayerwiseModel, because it cannot "
            f"be called symbolically ({reason[0] if reason else type(error).__name__}). Derive "
            f"{type(model).__name__} from `LayerwiseModel` instead of `keras.Model`."
        ) from error


def _checked_step_size(size: Any) -> bool | float:
    if isinstance(size, bool):
        return size
    if isinstance(size, numbers.Real) and 0 < float(size) < math.inf:
        return float(size)
    raise ValueError(
        f"`gradient_predictiveness` must be True, False, or a step size above 0; received {size!r}."
    )
