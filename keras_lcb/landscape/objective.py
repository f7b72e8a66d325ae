"""The loss over a data set as a function of weights: what every landscape is drawn from."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_lcb.landscape import ops
from keras_lcb.landscape.chunks import as_arrays, chunk, chunk_size, length, shares, to_device
from keras_lcb.training.functional import batch_loss
from keras_lcb.training.layers import TrackedLayer, check_built, tracked_layers
from keras_lcb.training.selection import LayerSelection, select_layers

BATCH_SIZE = 512
ALL = "(all)"

Tensors = Sequence[Any]
# What is compiled: a function of the loss around the model's weights, of the weights of the layer
# in question, and of further tensors.
Program = Callable[..., Any]


class Objective:
    """A model's compiled loss, averaged over data, as a function of its weights.

    The value is the one that Keras gives for all of the data in one batch: penalties count once,
    and sample weights are not normalised by their sum unless the loss says so. The work is done
    in chunks of the data, which bounds the memory, and inside functions that are compiled once.
    Nothing of the model is changed: neither weights, moving statistics and seeds, nor optimiser,
    metrics and what `compile` has prepared.

    Weights that are not given are the model's at the time of the call.

    Args:
        model: A built and compiled model.
        x: Inputs: an array, or a list or dict of arrays.
        y: Targets; `None` for a model whose losses need none.
        sample_weight: Weights of the samples, as `fit` takes them.
        training: Whether layers behave as in training (batch statistics; dropout, with the masks
            that the present seed states draw). Defaults to `False`: as in evaluation.
        batch_size: Most samples in a chunk. Defaults to 512.

    Attributes:
        model: The model.
        layers: The layers that train, as `keras_lcb.training.layers.TrackedLayer`, in the order
            of their calls, each with the variables that train.
        whole: All of them as one, called "(all)".
        samples: Number of samples.
        chunks: Number of chunks.

    Raises:
        ValueError: If the model is not built, not compiled or trains nothing, if the data have
            different lengths, or if they take several chunks and the loss is no mean over
            samples.

    Example:
    >>> import numpy as np
    >>> inputs = keras.Input((2,))
    >>> outputs = keras.layers.Dense(1, use_bias=False, name="line")(inputs)
    >>> model = keras.Model(inputs, outputs)
    >>> model.compile(loss="mse")
    >>> objective = Objective(model, np.ones((4, 2)), np.zeros((4, 1)))
    >>> objective.loss([[[1.0], [1.0]]], layer="line")
    4.0
    >>> gradient = objective.gradients([[[1.0], [1.0]]], layer="line")
    >>> keras.ops.convert_to_numpy(gradient["line"][0]).tolist()
    [[4.0], [4.0]]
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        training: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        check_compiled(model)
        self.model = model
        self.training = bool(training)
        self._trainable = list(model.trainable_variables)
        self._place = {id(variable): place for place, variable in enumerate(self._trainable)}
        self.layers = self._training_rows()
        self.whole = _as_one(self.layers)
        data = [as_arrays(values) for values in (x, y, sample_weight)]
        self.samples = length(*data)
        self._size = chunk_size(self.samples, batch_size)
        self.chunks = -(-self.samples // self._size)
        self._shares = shares(self.samples, self._size)
        self._compile_loss = _own_compile_loss(model)
        self._data = [to_device(values) for values in data]
        self._examine()
        self._programs: dict[Any, Callable[..., Any]] = {}

    # Values.

    def weights(self, layer: str | TrackedLayer | None = None) -> list[Any]:
        """Copies of a layer's weights as they are now, as tensors; of all layers for `None`."""
        return self._own(self._trainable_now(), self._places(self.row(layer)))

    def loss(
        self, weights: Tensors | None = None, *, layer: str | TrackedLayer | None = None
    ) -> float:
        """The loss where a layer has other weights than in the model.

        Args:
            weights: An array for each variable of the layer; the model's own for `None`.
            layer: The layer that moves; all of them by default.

        Returns:
            The loss, regularisation penalties included.
        """
        return float(keras.ops.convert_to_numpy(self.compiled(_loss, layer)(weights)))

    def gradients(
        self, weights: Tensors | None = None, *, layer: str | TrackedLayer | None = None
    ) -> dict[str, list[Any]]:
        """The gradient of the loss where a layer has other weights than in the model.

        Args:
            weights: An array for each variable of the layer; the model's own for `None`.
            layer: The layer that moves, and whose gradient is taken; all of them by default.

        Returns:
            A tensor for each variable, by the name of its layer.
        """
        row = self.row(layer)
        found = self.compiled(_gradients, row)(weights)
        if row is not self.whole:
            return {row.name: found}
        places = iter(found)
        return {part.name: [next(places) for _ in part.variables] for part in self.layers}

    # Programs.

    def compiled(
        self, program: Program, layer: str | TrackedLayer | None = None
    ) -> Callable[..., Any]:
        """Compiles a function of the loss around the model's weights, once for each layer.

        Args:
            program: `program(around, own, *arguments)` with an `Around` and the layer's weights
                as tensors; returns tensors. It is traced, so it must be made of `keras.ops` and
                the like. Compiled code is kept by this function and the layer: pass the same
                function each time, and what varies as arguments.
            layer: The layer that moves; all of them by default.

        Returns:
            `function(weights=None, *arguments)`, where `weights` are the layer's.
        """
        row = self.row(layer)
        places = self._places(row)
        key = program, tuple(places)
        if key not in self._programs:

            def traced(state: Any, data: Any, arguments: Any) -> Any:
                own = self._own(state[0], places)
                with self._loss_apart():
                    return program(Around(self, places, state, data), own, *arguments)

            self._programs[key] = ops.compiled(traced)
        compiled = self._programs[key]

        def run(weights: Tensors | None = None, *arguments: Any) -> Any:
            trainable, others = self._state()
            if weights is not None:
                for place, given in zip(places, weights, strict=True):
                    trainable[place] = _like(given, trainable[place])
            arguments = keras.tree.map_structure(keras.ops.convert_to_tensor, list(arguments))
            with self._loss_apart():  # on torch there is no other time of tracing
                return compiled((trainable, others), self._data, arguments)

        return run

    # Layers.

    def select(self, layers: LayerSelection) -> list[TrackedLayer]:
        """Chooses layers by name, or groups them: see `keras_lcb.training.selection.select_layers`.

        Raises:
            ValueError: For a name that fits no layer that trains.
        """
        return select_layers(self.layers, layers)

    def row(self, layer: str | TrackedLayer | None) -> TrackedLayer:
        """A layer by its name, or a group by the prefix of its layers' names.

        Raises:
            ValueError: For a name that fits no layer that trains.
        """
        if layer is None or layer == ALL:
            return self.whole
        return layer if isinstance(layer, TrackedLayer) else self.select([layer])[0]

    def moving(self, row: TrackedLayer) -> TrackedLayer | None:
        """What of a layer trains, `None` if it is frozen."""
        training = tuple(v for v in row.variables if id(v) in self._place)
        return dataclasses.replace(row, variables=training) if training else None

    def _training_rows(self) -> tuple[TrackedLayer, ...]:
        parts = map(self.moving, tracked_layers(self.model).layers)
        return tuple(part for part in parts if part is not None)

    def _places(self, row: TrackedLayer) -> list[int]:
        return [self._place[id(variable)] for variable in row.variables]

    # The model.

    def _state(self) -> tuple[list[Any], list[Any]]:
        return self._trainable_now(), ops.read(self.model.non_trainable_variables)

    def _trainable_now(self) -> list[Any]:
        now = self.model.trainable_variables
        if [id(v) for v in now] != [id(v) for v in self._trainable]:
            raise ValueError(
                f"Other layers of the model '{self.model.name}' train now than when this "
                "objective was made. Make a new one after freezing or unfreezing layers."
            )
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # in mid-epoch the state is not in its variables
        return ops.read(self._trainable)

    @staticmethod
    def _own(trainable: list[Any], places: list[int]) -> list[Any]:
        return [trainable[place] for place in places]

    @contextlib.contextmanager
    def _loss_apart(self) -> Iterator[None]:
        """Has the model compute its loss with an object of ours.

        Its own makes metrics when it is first used, and inside a compiled function at that.
        """
        attributes = vars(self.model)
        kept = attributes["_compile_loss"]
        attributes["_compile_loss"] = self._compile_loss
        try:
            yield
        finally:
            attributes["_compile_loss"] = kept

    def _examine(self) -> None:
        """Builds the loss on the first chunk, and refuses what chunks would make inexact."""
        x, y, sample_weight = chunk(self._data, 0, self._size)
        model = self.model
        options = {"training": self.training} if model._call_has_training_arg else {}
        trainable, others = self._state()
        mapping = [
            *zip(self._trainable, trainable, strict=True),
            *zip(model.non_trainable_variables, others, strict=True),
        ]
        with ops.draws_undone(), keras.StatelessScope(mapping, collect_losses=True) as scope:
            predicted = model(x, **options)
        if self._compile_loss is not None:
            self._compile_loss(y, predicted, sample_weight)
        if self.chunks == 1:
            return
        reason = self._why_not_in_chunks(predicted, scope.losses)
        if reason:
            raise ValueError(
                f"The {self.samples} samples take {self.chunks} chunks of {self._size}, and "
                f"{reason}, so that the mean over chunks is not the loss of all samples. Pass "
                f"batch_size={self.samples} to take them at once, or fewer samples."
            )

    def _why_not_in_chunks(self, predicted: Any, added: list[Any]) -> str | None:
        if type(self.model).compute_loss is not keras.Model.compute_loss:
            return "the model computes its loss in its own way (`compute_loss`)"
        if added:
            return "layers add losses of their own (`add_loss` or an activity regulariser)"
        if any(getattr(p, "_keras_mask", None) is not None for p in keras.tree.flatten(predicted)):
            return "masked steps count differently in each chunk"
        losses = self._compile_loss._flat_losses if self._compile_loss is not None else []
        reductions = {getattr(entry.loss, "reduction", None) for entry in losses}
        weighted = self._data[2] is not None
        if not reductions <= {"sum_over_batch_size", "mean"} | (
            set() if weighted else {"mean_with_sample_weight"}
        ):
            return f"the loss is reduced by {', '.join(sorted(map(str, reductions)))}"
        if self.training and self._has_state():
            return "layers draw at random or take statistics of the batch in training mode"
        return None

    def _has_state(self) -> bool:
        """Whether there are variables that no freezing makes: moving statistics, seed states."""
        frozen = {id(v) for row in tracked_layers(self.model).layers for v in row.variables}
        return any(id(v) not in frozen for v in self.model.non_trainable_variables)


class Around:
    """The loss around a model's weights as a function of some of them, in a compiled function.

    `Objective.compiled` gives one to the functions it compiles.
    """

    def __init__(self, objective: Objective, places: list[int], state: Any, data: Any) -> None:
        self._objective = objective
        self._places = places
        self._state = state
        self._data = data

    def loss(self, own: Tensors) -> Any:
        """The loss, a scalar tensor of the weights' type."""
        zero = self._zero(own)
        return self.summed(lambda loss: [keras.ops.cast(loss(*own), zero.dtype)], [zero])[0]

    def gradients(self, own: Tensors) -> list[Any]:
        """The gradient with respect to these weights, a tensor each."""
        return self.loss_and_gradients(own)[1]

    def loss_and_gradients(self, own: Tensors) -> tuple[Any, list[Any]]:
        """Both, at little more than the cost of the gradient."""
        zeros = [self._zero(own), *map(keras.ops.zeros_like, own)]

        def of_chunk(loss: Callable[..., Any]) -> list[Any]:
            value, found = ops.value_and_gradients(loss, own)
            return [keras.ops.cast(value, zeros[0].dtype), *found]

        value, *found = self.summed(of_chunk, zeros)
        return value, found

    @staticmethod
    def _zero(own: Tensors) -> Any:
        return keras.ops.zeros((), own[0].dtype)

    def all_at_once(self) -> Callable[..., Any] | None:
        """`loss(*own)` of all samples; `None` where they take more than one chunk."""
        objective = self._objective
        if objective.chunks > 1:
            return None
        return self._part(0, objective.samples, objective._shares[0])

    def summed(self, function: Callable[[Callable[..., Any]], list[Any]], zeros: Tensors) -> Any:
        """Adds up what a function makes of each chunk's part in the loss.

        Args:
            function: `function(loss)`, where `loss(*own)` is what a chunk adds to the loss, a
                scalar that can be differentiated; returns tensors.
            zeros: Tensors of zeros, of the shapes and types that the function returns.

        Returns:
            The sums.
        """
        size, shares = self._objective._size, self._objective._shares
        whole = self._objective.samples // size

        def add(chunk: Any, sums: Any) -> Any:
            found = function(self._part(chunk * size, size, shares[0]))
            return [total + part for total, part in zip(sums, found, strict=True)]

        if whole == 1:
            sums = function(self._part(0, size, shares[0]))
        else:
            sums = keras.ops.fori_loop(0, whole, add, list(zeros))
        rest = self._objective.samples - whole * size
        if rest:
            found = function(self._part(whole * size, rest, shares[-1]))
            sums = [total + part for total, part in zip(sums, found, strict=True)]
        return sums

    def _part(self, start: Any, size: int, share: float) -> Callable[..., Any]:
        trainable, others = self._state
        objective = self._objective
        x, y, sample_weight = (
            self._data if size == objective.samples else chunk(self._data, start, size)
        )

        def loss(*own: Any) -> Any:
            moved = list(trainable)
            for place, weight in zip(self._places, own, strict=True):
                moved[place] = weight
            with ops.draws_undone():
                value = batch_loss(
                    objective.model,
                    moved,
                    others,
                    x,
                    y,
                    sample_weight,
                    training=objective.training,
                )
            return value if share == 1.0 else share * value

        return loss


def as_objective(
    model: keras.Model | Objective, x: Any = None, y: Any = None, **options: Any
) -> Objective:
    """The objective itself, whose functions are compiled already, or one of a model and data.

    Raises:
        ValueError: If an objective comes with other data, and what `Objective` refuses.
    """
    if not isinstance(model, Objective):
        return Objective(model, x, y, **options)
    if x is not None or y is not None or options.get("sample_weight") is not None:
        raise ValueError(
            "An Objective has its data already: pass it alone, or a model with `x` and `y`."
        )
    return model


def check_compiled(model: keras.Model) -> None:
    """Refuses a model that has no loss to be a function of weights.

    Raises:
        ValueError: If the model is not built, not compiled, or nothing trains.
    """
    check_built(model)
    if not getattr(model, "compiled", False):
        raise ValueError(
            f"The model '{model.name}' is not compiled, so it has no loss. Call "
            "`model.compile(loss=...)` first; the optimizer does not matter here."
        )
    if not model.trainable_variables:
        raise ValueError(
            f"The model '{model.name}' has no trainable variables: every layer is frozen or "
            "without parameters. Set `layer.trainable = True` on at least one layer."
        )


def _loss(around: Around, own: Tensors) -> Any:
    return around.loss(own)


def _gradients(around: Around, own: Tensors) -> list[Any]:
    return around.gradients(own)


def _as_one(layers: Sequence[TrackedLayer]) -> TrackedLayer:
    return TrackedLayer(
        name=ALL,
        kind="+".join(dict.fromkeys(layer.kind for layer in layers)),
        role="hidden",
        variables=tuple(v for layer in layers for v in layer.variables),
        layers=tuple(part for layer in layers for part in layer.layers),
    )


def _own_compile_loss(model: keras.Model) -> Any:
    known = model._compile_loss
    if known is None:
        return None
    return type(known)(known._user_loss, known._user_loss_weights, output_names=known.output_names)


def _like(given: Any, now: Any) -> Any:
    tensor = keras.ops.convert_to_tensor(given, dtype=now.dtype)
    if tuple(tensor.shape) != tuple(now.shape):
        raise ValueError(
            f"The weights have the shape {tuple(tensor.shape)}, and the layer's variable "
            f"{tuple(now.shape)}. Pass an array for each variable of the layer, in its order."
        )
    return tensor
