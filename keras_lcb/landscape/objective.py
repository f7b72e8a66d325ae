"""The loss over a data set as a function of weights: what every landscape is drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lcb.landscape import ops
from keras_lcb.landscape.chunks import Cut, chunk, cut, to_device
from keras_lcb.landscape.loss import loss_name, loss_of
from keras_lcb.landscape.samples import Batch, read
from keras_lcb.training.layers import TrackedLayer, check_built, tracked_layers
from keras_lcb.training.selection import LayerSelection, select_layers

BATCH_SIZE = 512
ALL = "(all)"

Tensors = Sequence[Any]
# What is compiled: a function of the loss around the model's weights, of the weights of the layer
# in question, and of further tensors.
Program = Callable[..., Any]


class Objective:
    """A model's loss, averaged over data, as a function of its weights.

    The value is the one that Keras gives for all of the data in one batch: penalties count once,
    and sample weights are not normalised by their sum unless the loss says so. The work is done
    in chunks of the data, which bounds the memory, and inside functions that are compiled once.
    Nothing of the model is changed: neither weights, moving statistics and seeds, nor optimizer,
    metrics and what `compile` has prepared.

    Weights that are not given are the model's at the time of the call.

    Data come as `fit` takes them. A data set is read once, so that each evaluation sees the same
    samples, also of one that shuffles: into memory, up to 2 GiB, and from there onto the device.
    Its batches may differ in size, the mean is over samples. They may differ in other axes too,
    if outputs and targets do not; each shape is then compiled apart, which takes its time.

    Args:
        model: A built and compiled model.
        x: Inputs: an array, or a list or dict of arrays. Or a data set of batches `x`, `(x, y)`
            or `(x, y, sample_weight)`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch
            `DataLoader`, or a generator.
        y: Targets; `None` for a data set, and for a model whose losses need none.
        sample_weight: Weights of the samples, as `fit` takes them; `None` for a data set. (Class
            weights are weights of samples: give each that of its class.)
        steps: How many batches to take of a data set; needed for generators and data sets
            without an end. Defaults to `None`: all of them.
        loss: A loss in place of the compiled one, for a model with a `train_step` of its own,
            which is not looked into: what `compile(loss=...)` takes. Or a function
            `loss(model, x, y, sample_weight, training)`, with `model` and some of the others
            under these names, that returns the whole loss of a batch as a scalar tensor; then all
            samples must be in one chunk. Defaults to `None`: the compiled loss.
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
        loss_name: "compiled", or the name of the loss that is given.

    Raises:
        ValueError: If the model is not built, has no loss or trains nothing; if the data have
            different lengths, lack targets that the loss needs, do not end or do not fit into
            memory; or if they take several chunks and the loss is no mean over samples.

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
        steps: int | None = None,
        loss: Any = None,
        training: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        check_has_loss(model, loss)
        self.model = model
        self.training = bool(training)
        self._trainable = list(model.trainable_variables)
        self._place = {id(variable): place for place, variable in enumerate(self._trainable)}
        self.layers = self._training_rows()
        self.whole = _as_one(self.layers)
        self._loss = loss_of(model, loss, self.training)
        self.loss_name = loss_name(loss)
        data = read(x, y, sample_weight, steps)
        self.samples = data.count
        self._cuts = [cut(part, batch_size) for part in data.parts]
        self.chunks = sum(sizes.chunks for sizes in self._cuts)
        self._data = [to_device(part) for part in data.parts]
        self._try_out()
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
                with self._loss.apart():
                    return program(Around(self, places, state, data), own, *arguments)

            self._programs[key] = ops.compiled(traced)
        compiled = self._programs[key]

        def run(weights: Tensors | None = None, *arguments: Any) -> Any:
            trainable, others = self._state()
            if weights is not None:
                for place, given in zip(places, weights, strict=True):
                    trainable[place] = _like(given, trainable[place])
            arguments = keras.tree.map_structure(keras.ops.convert_to_tensor, list(arguments))
            with self._loss.apart():  # on torch there is no other time of tracing
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

    def _try_out(self) -> None:
        """Builds the loss on a chunk of each shape, and refuses what chunks would make inexact."""
        state = self._state()
        trials = [
            self._loss.tried(*state, chunk(part, 0, sizes.size))
            for part, sizes in zip(self._data, self._cuts, strict=True)
        ]
        reason = next((trial.whole_only for trial in trials if trial.whole_only), None)
        if self.chunks == 1 or reason is None and len({trial.shapes for trial in trials}) == 1:
            return
        if len(trials) > 1:
            raise ValueError(
                f"The batches have {len(trials)} shapes, and "
                f"{reason or 'outputs, targets or weights differ in shape, too'}, so that the "
                "mean over them is not the loss of all samples. Pad the data to one shape."
            )
        (sizes,) = self._cuts
        raise ValueError(
            f"The {self.samples} samples take {self.chunks} chunks of {sizes.size}, and "
            f"{reason}, so that the mean over chunks is not the loss of all samples. Pass "
            f"batch_size={self.samples} to take them at once, or fewer samples."
        )


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
        return self._part(self._data[0], 1.0)

    def summed(self, function: Callable[[Callable[..., Any]], list[Any]], zeros: Tensors) -> Any:
        """Adds up what a function makes of each chunk's part in the loss.

        Args:
            function: `function(loss)`, where `loss(*own)` is what a chunk adds to the loss, a
                scalar that can be differentiated; returns tensors.
            zeros: Tensors of zeros, of the shapes and types that the function returns.

        Returns:
            The sums.
        """
        sums = None
        for part, sizes in zip(self._data, self._objective._cuts, strict=True):
            found = self._summed_over(part, sizes, function, zeros)
            sums = found if sums is None else _added(sums, found)
        return sums

    def _summed_over(
        self,
        part: Batch,
        sizes: Cut,
        function: Callable[[Callable[..., Any]], list[Any]],
        zeros: Tensors,
    ) -> list[Any]:
        size, whole = sizes.size, sizes.samples // sizes.size

        def of_chunk(start: Any, size: int) -> list[Any]:
            data = part if size == sizes.samples else chunk(part, start, size)
            return function(self._part(data, size / self._objective.samples))

        if whole == 1:
            sums = of_chunk(0, size)
        else:
            sums = keras.ops.fori_loop(
                0,
                whole,
                lambda place, sums: _added(sums, of_chunk(place * size, size)),
                list(zeros),
            )
        rest = sizes.samples - whole * size
        return _added(sums, of_chunk(whole * size, rest)) if rest else sums

    def _part(self, data: Batch, share: float) -> Callable[..., Any]:
        """What some of the samples add to the loss, as a function of the weights."""
        trainable, others = self._state

        def loss(*own: Any) -> Any:
            moved = list(trainable)
            for place, weight in zip(self._places, own, strict=True):
                moved[place] = weight
            value = self._objective._loss(moved, others, data)
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
    beside = [x, y, *(options.get(name) for name in ("sample_weight", "steps", "loss"))]
    if any(given is not None for given in beside):
        raise ValueError(
            "An Objective has its data already, and its loss: pass it alone, or a model with `x` "
            "and `y`."
        )
    return model


def check_has_loss(model: keras.Model, loss: Any) -> None:
    """Refuses a model that has no loss to be a function of weights, where none is given.

    Raises:
        ValueError: If the model is not built, not compiled, or nothing trains.
    """
    check_built(model)
    if loss is None and not getattr(model, "compiled", False):
        raise ValueError(
            f"The model '{model.name}' is not compiled, so it has no loss. Call "
            "`model.compile(loss=...)` first, where the optimizer does not matter, or pass `loss`."
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


def _added(sums: Tensors, found: Tensors) -> list[Any]:
    return [total + part for total, part in zip(sums, found, strict=True)]


def _like(given: Any, now: Any) -> Any:
    tensor = keras.ops.convert_to_tensor(given, dtype=now.dtype)
    if tuple(tensor.shape) != tuple(now.shape):
        raise ValueError(
            f"The weights have the shape {tuple(tensor.shape)}, and the layer's variable "
            f"{tuple(now.shape)}. Pass an array for each variable of the layer, in its order."
        )
    return tensor
