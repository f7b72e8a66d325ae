"""The loss over a data set as a function of weights, which every function of this room uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_lcb.backend import internals
from keras_lcb.landscape import ops
from keras_lcb.landscape.around import Around, Block, Tensors
from keras_lcb.landscape.chunks import cut, drawn, to_device
from keras_lcb.landscape.loss import loss_name, loss_of
from keras_lcb.landscape.loss_scale import are_finite, factors_for
from keras_lcb.landscape.samples import Samples, read
from keras_lcb.training.layers import TrackedLayer, check_built, tracked_layers
from keras_lcb.training.selection import LayerSelection, select_layers

BATCH_SIZE = 512
ALL = "(all)"
_OF_OBJECTIVE = ("sample_weight", "steps", "loss")

# A function to compile: `program(around, own, *arguments)`, see `Objective.compiled`.
Program = Callable[..., Any]


class Objective:
    """A model's loss, averaged over data, as a function of its weights.

    The value equals the loss that Keras computes for all of the data in one batch: regularisation
    penalties count once, and sample weights are divided by their sum only if the loss does so.
    Functions are compiled once, and process the data in chunks, which bounds the memory. The model
    stays unchanged: its weights, moving statistics, seeds, optimizer, metrics and compilation.

    Where no weights are given, the model's weights at the time of the call are used.

    Where layers compute in float16, the loss is multiplied by a power of two while it is
    differentiated, as `fit` does, so that small gradients are not lost. The results still have only
    the three digits of float16. For more, measure a copy of the model that computes in float32.

    Data are given as for `fit`. A data set is read once, into at most 2 GiB of memory, and copied
    from there to the device. So each evaluation sees the same samples, even if the data set
    shuffles. Its batches may differ in size, since the mean is over samples. They may also differ
    in other axes, if outputs and targets do not; then each shape is compiled separately.

    The cost of the construction is one evaluation of the loss on one chunk of each shape. The cost
    of the first call of each function, for each layer, is its compilation.

    Args:
        model: A built and compiled model.
        x: Inputs: an array, or a list or dict of arrays. Or a data set of batches `x`, `(x, y)`
            or `(x, y, sample_weight)`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a torch
            `DataLoader`, or a generator.
        y: Targets; `None` for a data set, and for a model whose losses need no targets.
        sample_weight: Weights of the samples, as `fit` takes them; `None` for a data set. (To use
            class weights, give each sample the weight of its class.)
        steps: Number of batches to read from a data set. Generators and endless data sets need it.
            Defaults to `None`: all batches.
        loss: A loss to use instead of the compiled one. A model whose own `train_step` computes its
            loss needs it. Either what `compile(loss=...)` takes, or a function
            `loss(model, x, y, sample_weight, training)`, which returns the whole loss of a batch as
            a scalar tensor and may leave out all parameters but `model`. Such a function needs all
            samples in one chunk. Defaults to `None`: the compiled loss.
        training: Whether layers behave as in training. Normalization then uses the statistics of
            the data, and dropout draws its masks from the current seed states, the same masks in
            each evaluation. Defaults to `False`: as in evaluation.
        batch_size: Largest number of samples in a chunk. Defaults to 512.

    Attributes:
        model: The model.
        layers: The layers that train, as `keras_lcb.training.layers.TrackedLayer`, in the order
            of their calls. Each has only its variables that train.
        whole: All these layers as one, called "(all)".
        samples: Number of samples.
        chunks: Number of chunks.
        loss_name: "compiled", or the name of the given loss.
        loss_factors: Factors for the loss while it is differentiated, see `loss_scale`; empty
            unless a layer computes in float16.

    Raises:
        ValueError: If the model is not built, has no loss, or has no variable that trains; if
            arrays of the data have different lengths, the loss needs targets and there are none,
            or a data set is endless or too large for the memory; or if the data need several
            chunks and the loss is not a mean over samples.

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
        self.loss_factors = factors_for(model)
        data = read(x, y, sample_weight, steps)
        self.samples = data.count
        self._cuts = [cut(part, batch_size) for part in data.parts]
        self.chunks = sum(sizes.chunks for sizes in self._cuts)
        self._data = [to_device(part) for part in data.parts]
        self._try_out(data)
        self._programs: dict[Any, Callable[..., Any]] = {}

    # Values.

    def weights(self, layer: str | TrackedLayer | None = None) -> list[Any]:
        """Returns copies of a layer's current weights, as tensors; of all layers for `None`."""
        return self._own(self._trainable_now(), self._places(self.row(layer)))

    def loss(
        self, weights: Tensors | None = None, *, layer: str | TrackedLayer | None = None
    ) -> float:
        """Computes the loss with other weights in one layer.

        Args:
            weights: An array for each variable of the layer; `None` for the model's own weights.
            layer: The layer with these weights. Defaults to `None`: all layers.

        Returns:
            The loss, regularisation penalties included.

        Raises:
            ValueError: If a layer is unknown, or an array has another shape than its variable.
        """
        return float(keras.ops.convert_to_numpy(self.compiled(_loss, layer)(weights)))

    def gradients(
        self, weights: Tensors | None = None, *, layer: str | TrackedLayer | None = None
    ) -> dict[str, list[Any]]:
        """Computes the gradient of the loss with other weights in one layer.

        Args:
            weights: An array for each variable of the layer; `None` for the model's own weights.
            layer: The layer with these weights, whose gradient is computed. Defaults to `None`:
                all layers.

        Returns:
            A dict from the name of a layer to a list with a tensor for each of its variables.

        Raises:
            ValueError: If a layer is unknown, or an array has another shape than its variable.
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
            program: A function `program(around, own, *arguments)`, which receives an `Around` and
                the layer's weights as tensors, and returns tensors. It is traced, so it must
                consist of operations such as `keras.ops`. The compiled code is stored under the
                function and the layer. So pass the same function each time, and pass values that
                change as arguments.
            layer: The layer whose weights may differ from the model's. Defaults to `None`: all
                layers.

        Returns:
            `function(weights=None, *arguments)`, where `weights` are those of the layer.

        Example:
        >>> import numpy as np
        >>> def squared_gradient(around, own):
        ...     return sum(keras.ops.sum(g**2) for g in around.gradients(own))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile(loss="mse")
        >>> objective = Objective(model, np.ones((4, 2)), np.zeros((4, 1)))
        >>> float(objective.compiled(squared_gradient)([[[1.0], [1.0]]]))
        32.0
        """
        row = self.row(layer)
        places = self._places(row)
        key = program, tuple(places)
        if key not in self._programs:

            def traced(state: Any, data: Any, factor: Any, arguments: Any) -> Any:
                own = self._own(state[0], places)
                with self._loss.separated():
                    return program(Around(self, places, state, data, factor), own, *arguments)

            self._programs[key] = ops.compiled(traced)
        compiled = self._programs[key]

        def run(weights: Tensors | None = None, *arguments: Any) -> Any:
            trainable, others = self._state()
            if weights is not None:
                for place, given in zip(places, weights, strict=True):
                    trainable[place] = _like(given, trainable[place])
            arguments = keras.tree.map_structure(keras.ops.convert_to_tensor, list(arguments))
            with self._loss.separated():  # torch does not trace, but calls the function here
                return self._finite(
                    lambda factor: compiled((trainable, others), self._data, factor, arguments)
                )

        return run

    def _finite(self, scaled: Callable[[Any], Any]) -> Any:
        """Calls a function with the factors of the loss in turn, until its results are finite."""
        found = None
        for factor in self.loss_factors or (None,):
            found = scaled(
                None if factor is None else keras.ops.convert_to_tensor(factor, "float32")
            )
            if factor is None or are_finite(found):
                break
        return found

    # Layers.

    def select(self, layers: LayerSelection) -> list[TrackedLayer]:
        """Returns layers by name or in groups, see `keras_lcb.training.selection.select_layers`.

        Raises:
            ValueError: If no layer that trains has a given name.
        """
        return select_layers(self.layers, layers)

    def row(self, layer: str | TrackedLayer | None) -> TrackedLayer:
        """Returns a layer by its name, or a group of layers by the prefix of their names.

        Raises:
            ValueError: If no layer that trains has this name or prefix.
        """
        if layer is None or layer == ALL:
            return self.whole
        return layer if isinstance(layer, TrackedLayer) else self.select([layer])[0]

    def moving(self, row: TrackedLayer) -> TrackedLayer | None:
        """Returns the layer with only its variables that train; `None` if it is frozen."""
        training = tuple(v for v in row.variables if id(v) in self._place)
        return dataclasses.replace(row, variables=training) if training else None

    def joined(self, rows: Sequence[TrackedLayer]) -> tuple[TrackedLayer, tuple[Block, ...]]:
        """Joins layers into one, for a program that measures several layers.

        Returns:
            The joined layer, and the places among its variables of those of each layer.
        """
        moving = {id(v) for row in rows for v in row.variables}
        variables = tuple(v for v in self.whole.variables if id(v) in moving)
        place = {id(variable): index for index, variable in enumerate(variables)}
        blocks = tuple(tuple(place[id(v)] for v in row.variables) for row in rows)
        return dataclasses.replace(self.whole, variables=variables), blocks

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
                f"Received the model '{self.model.name}' with other trainable variables than when "
                "this objective was made. Make a new objective after freezing or unfreezing layers."
            )
        internals.sync_state(self.model)  # during an epoch on JAX, the variables are out of date
        return ops.read(self._trainable)

    @staticmethod
    def _own(trainable: list[Any], places: list[int]) -> list[Any]:
        return [trainable[place] for place in places]

    def _try_out(self, data: Samples) -> None:
        """Computes the loss on a chunk of each shape, and checks that chunks give the exact loss.

        Args:
            data: All samples. Those that are tried come from everywhere among them.

        Raises:
            ValueError: If the mean over the chunks is not the loss of all samples.
        """
        state = self._state()
        trials = [
            self._loss.tried(*state, to_device(drawn(part, sizes.size)))
            for part, sizes in zip(data.parts, self._cuts, strict=True)
        ]
        reason = next((trial.why_not_mean for trial in trials if trial.why_not_mean), None)
        if self.chunks == 1 or reason is None and len({trial.shapes for trial in trials}) == 1:
            return
        if len(trials) > 1:
            raise ValueError(
                f"Received batches of {len(trials)} shapes. The mean over them is not the loss of "
                f"all samples, because "
                f"{reason or 'outputs, targets or weights differ in shape, too'}. Pad the data to "
                "one shape."
            )
        (sizes,) = self._cuts
        raise ValueError(
            f"Received {self.samples} samples, which need {self.chunks} chunks of {sizes.size}. "
            f"The mean over chunks is not the loss of all samples, because {reason}. Pass "
            f"batch_size={self.samples} to process all samples at once, or pass fewer samples."
        )


def as_objective(
    model: keras.Model | Objective, x: Any = None, y: Any = None, **options: Any
) -> Objective:
    """Returns an objective unchanged, or makes one from a model and data.

    Raises:
        ValueError: If data or a loss are given together with an objective, or `Objective` refuses
            the model or the data.
    """
    if not isinstance(model, Objective):
        return Objective(model, x, y, **options)
    others = {"x": x, "y": y, **{name: options.get(name) for name in _OF_OBJECTIVE}}
    given = [f"`{name}`" for name, value in others.items() if value is not None]
    if given:
        raise ValueError(
            f"Received {', '.join(given)} together with an Objective, which already has its data "
            "and its loss. Pass the Objective alone, or pass a model with `x` and `y`."
        )
    return model


def check_has_loss(model: keras.Model, loss: Any) -> None:
    """Checks that a model has a loss and weights that train.

    Raises:
        ValueError: If the model is not built, is not compiled and no loss is given, or has no
            trainable variables.
    """
    check_built(model)
    if loss is None and not getattr(model, "compiled", False):
        raise ValueError(
            f"Received the model '{model.name}', which is not compiled and so has no loss. Call "
            "`model.compile(loss=...)` first (the optimizer does not matter), or pass `loss`."
        )
    if not model.trainable_variables:
        raise ValueError(
            f"Received the model '{model.name}', which has no trainable variables: every layer is "
            "frozen or has no parameters. Set `layer.trainable = True` on at least one layer."
        )


def _loss(around: Around, own: Tensors) -> Any:
    return around.loss(own)


def _gradients(around: Around, own: Tensors) -> list[Any]:
    return around.gradients(own)


def _as_one(layers: Sequence[TrackedLayer]) -> TrackedLayer:
    """Joins all layers into one, called "(all)"."""
    return TrackedLayer(
        name=ALL,
        kind="+".join(dict.fromkeys(layer.kind for layer in layers)),
        role="hidden",
        variables=tuple(v for layer in layers for v in layer.variables),
        layers=tuple(part for layer in layers for part in layer.layers),
    )


def _like(given: Any, now: Any) -> Any:
    """Converts an array to a tensor of the type of a weight, and checks its shape."""
    tensor = keras.ops.convert_to_tensor(given, dtype=now.dtype)
    if tuple(tensor.shape) != tuple(now.shape):
        raise ValueError(
            f"Received weights of shape {tuple(tensor.shape)} for a variable of shape "
            f"{tuple(now.shape)}. Pass one array for each variable of the layer, in their order."
        )
    return tensor
