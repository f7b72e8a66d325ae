"""Gram matrices of activations, which say how similar the samples look to a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.backend.ops import trace_in_force
from keras_lcb.landscape import ops
from keras_lcb.similarity.read_layers import read_layers
from keras_lcb.training.call_trace import calls_noted
from keras_lcb.training.layers import TrackedLayer, plain_reason
from keras_lcb.training.rnn_states import rnn_states
from keras_lcb.training.selection import LayerSelection

# If a feature varies between samples by a smaller part of its size, this is a rounding error.
_ROUNDING = 1e-6
_NEVER = "The model does not call the layer, so it has no output."
_LOOP = "the layer is called within a loop, or another part that is traced separately"
_NOT_A_SAMPLE = "The layer's output does not have one row for each sample; its shape is {}."


class GramReader:
    """Computes the Gram matrices of layers' activations, without changing the model.

    The reader calls the model on a batch in evaluation mode, and computes the matrices on the
    device. Only the matrices are copied to the host. Neither weights nor moving statistics nor the
    states of random generators change. Stateful RNNs start from states of zero, and keep their own.

    Cost: one forward pass, and n²·d multiplications for a layer with d outputs for each of n
    samples. The function is compiled once for each shape of a batch.

    Args:
        model: A built model of any kind.
        rows: The layers or groups to read.
        selection: The selection that chose them; see `read_layers`.

    Attributes:
        unread: The reasons why rows have no activations, by the name of the row. The first call
            sets them. The matrix of these rows is NaN.

    Example:
    >>> from keras_lcb.training.layers import tracked_layers
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="lin")])
    >>> reader = GramReader(model, tracked_layers(model).layers)
    >>> reader(np.eye(2, dtype="float32")).shape
    (1, 2, 2)
    """

    def __init__(
        self,
        model: keras.Model,
        rows: Sequence[TrackedLayer],
        selection: LayerSelection = None,
    ) -> None:
        self.unread: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self._model = model
        self._names = [row.name for row in rows]
        self._members = read_layers(model, rows, selection)
        self._variables = _variables(model)
        self._compiled = ops.compiled(self._traced)

    def is_current(self) -> bool:
        """Returns whether the model still has the same variables."""
        return {id(v) for v in self._variables} == {id(v) for v in _variables(self._model)}

    def __call__(self, x: Any) -> np.ndarray:
        """Computes the matrices, (rows, n, n), for a batch of n samples.

        Each matrix is X Xᵀ, where X holds a layer's activations with a row for each sample, minus
        the mean over the samples. If a layer is called several times, or returns several tensors,
        a row of X holds all of them.

        Raises:
            ValueError: If the model cannot be called on `x`, or a layer is called within a loop,
                where its outputs cannot be read.
        """
        internals.sync_state(self._model)
        values = ops.read(self._variables)
        try:
            grams = self._compiled(values, x)
        except Exception as error:  # any code may stand in a model's `call`
            raise ValueError(
                f"The model '{self._model.name}' cannot be called on the samples that were given "
                f"to read activations: {plain_reason(error)}"
            ) from error
        self._refuse_unreadable()
        return np.stack([_on_host(*gram) for gram in grams])

    def _traced(self, values: Sequence[Any], x: Any) -> list[tuple[Any, Any]]:
        samples = keras.tree.flatten(x)[0].shape[0]
        outputs = _Outputs(self._members)
        options = {"training": False} if internals.takes_training(self._model) else {}
        state = list(zip(self._variables, values, strict=True))
        # Otherwise activations would depend on the batches that were trained last.
        state += [
            (each, keras.ops.zeros(each.shape, each.dtype)) for each in rnn_states(self._model)
        ]
        everything = {id(layer): layer for members in self._members for layer in members}
        with keras.StatelessScope(state_mapping=state):
            with calls_noted(everything.values(), outputs):
                self._model(x, **options)
            return [self._gram(place, outputs, samples) for place in range(len(self._names))]

    def _gram(self, place: int, outputs: _Outputs, samples: int) -> tuple[Any, Any]:
        name = self._names[place]
        unknown = keras.ops.full((samples, samples), math.nan), keras.ops.ones(())
        tensors = outputs.of_row(place)
        if tensors is None:
            self._unreadable[name] = _LOOP
            return unknown
        rows = [t for t in tensors if len(t.shape) and t.shape[0] == samples]
        if not rows:
            shapes = " and ".join(str(tuple(t.shape)) for t in tensors)
            self.unread[name] = _NOT_A_SAMPLE.format(shapes) if tensors else _NEVER
            return unknown
        try:
            return gram_matrix(rows)
        except Exception as error:  # its class differs between backends
            self._unreadable[name] = plain_reason(error)
            return unknown

    def _refuse_unreadable(self) -> None:
        if not self._unreadable:
            return
        name, reason = next(iter(self._unreadable.items()))
        around = name.rpartition("/")[0]
        instead = f"the layer around it (layers=[..., '{around}']), or " if around else ""
        raise ValueError(
            f"The activations of '{name}' cannot be read: {reason}. Choose {instead}other layers."
        )


class _Outputs:
    """Collects the outputs of layers in a call of the model. A group has those of its last layer.

    Args:
        members: The layers of each row.
    """

    def __init__(self, members: Sequence[Sequence[keras.Layer]]) -> None:
        self._rows: dict[int, list[int]] = {}
        for place, layers in enumerate(members):
            for layer in layers:
                self._rows.setdefault(id(layer), []).append(place)
        self._last: dict[int, tuple[int, list[Any] | None]] = {}
        self._trace = trace_in_force()

    def enter(self, layer: keras.Layer) -> None:
        """Does nothing when a layer is called, because its outputs are not known yet."""

    def leave(self, layer: keras.Layer, inputs: Any, outputs: Any) -> None:
        """Stores the outputs when a layer returns."""
        reachable = trace_in_force() == self._trace
        for place in self._rows[id(layer)]:
            identity, tensors = self._last.get(place, (0, []))
            earlier = tensors if identity == id(layer) else []
            if reachable and earlier is not None:
                self._last[place] = id(layer), [*earlier, *_floating(outputs)]
            else:
                self._last[place] = id(layer), None

    def of_row(self, place: int) -> list[Any] | None:
        """Returns the tensors of a row, or `None` if they belong to another trace, as in a loop.

        The list is empty if no layer of the row was called.
        """
        return self._last.get(place, (0, []))[1]


def gram_matrix(tensors: Sequence[Any]) -> tuple[Any, Any]:
    """Returns X Xᵀ / s² (samples, samples) and s, the largest magnitude in X, or 1 if X is zero.

    X holds all tensors side by side, minus their mean. A feature that is the same for all samples
    counts as zero, in spite of rounding errors.

    Args:
        tensors: Floating point tensors whose first axis is that of the samples.
    """
    double = any(_dtype(t) == "float64" for t in tensors)
    deviations = [_deviation(t, "float64" if double else "float32") for t in tensors]
    # Products of very large or very small numbers would be infinite or zero in this type.
    scale: Any = 0.0
    for deviation in deviations:
        scale = keras.ops.maximum(scale, keras.ops.max(keras.ops.abs(deviation), initial=0.0))
    scale = keras.ops.where(scale > 0, scale, keras.ops.ones_like(scale))
    total: Any = 0.0
    for deviation in deviations:
        scaled = deviation / scale
        total = total + keras.ops.matmul(scaled, keras.ops.transpose(scaled))
    return total, scale


def _deviation(tensor: Any, dtype: str) -> Any:
    samples = tensor.shape[0]
    x = keras.ops.cast(tensor, dtype)
    x = keras.ops.reshape(x, (samples, math.prod(tensor.shape[1:])))
    deviation = x - keras.ops.mean(x, axis=0, keepdims=True)
    # Sums, because maxima do not pass on NaN on every backend.
    varied, size = (
        keras.ops.sum(keras.ops.abs(part), axis=0, keepdims=True) for part in (deviation, x)
    )
    same = varied <= _ROUNDING * size
    return keras.ops.where(same, keras.ops.zeros_like(deviation), deviation)


def _on_host(gram: Any, scale: Any) -> np.ndarray:
    """Returns X Xᵀ in float64, so that the matrices of several batches have one scale."""
    scaled, by = (keras.ops.convert_to_numpy(part).astype("float64") for part in (gram, scale))
    with np.errstate(over="ignore", invalid="ignore"):  # then it is infinite, or NaN
        return scaled * by**2


def _floating(outputs: Any) -> list[Any]:
    leaves = [leaf for leaf in keras.tree.flatten(outputs) if hasattr(leaf, "shape")]
    return [leaf for leaf in leaves if keras.backend.is_float_dtype(_dtype(leaf))]


def _dtype(tensor: Any) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.trainable_variables, *model.non_trainable_variables]
