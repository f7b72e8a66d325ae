"""The outputs of a network's layers, all computed in one compiled forward pass."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_lcb.backend import internals


@dataclass(frozen=True)
class Call:
    """One call of a layer in the graph of a network.

    Attributes:
        layer: The layer or operation.
        inputs: The symbolic tensors that it receives.
        output: The symbolic tensor that it returns.
    """

    layer: keras.layers.Layer
    inputs: tuple[keras.KerasTensor, ...]
    output: keras.KerasTensor


def layer_features(model: keras.Model, x: ArrayLike) -> dict[str, np.ndarray]:
    """Returns the features that each hidden layer passes to the next layer, in evaluation mode.

    In a plain network, these are the activations of the layer. In a residual network, they are the
    sum of the outputs up to this layer. If a layer is called several times, its last call counts.
    The cost is one forward pass. It is compiled at the first call, and kept as long as the model
    exists.

    Args:
        model: A chain of Dense layers: a network of `build_network`, or a similar one.
        x: Inputs of shape (n, 1).

    Returns:
        A dict from the name of each layer to its features (n, units), from the first layer to the
        last, without the read-out. They are NaN at points where the output is not finite.

    Raises:
        ValueError: If the model is not such a chain, or `x` has another shape.

    Example:
        >>> from keras_lcb.synthetic.networks import build_network
        >>> features = layer_features(build_network(2, 8), [[0.0], [1.0]])
        >>> {name: values.shape for name, values in features.items()}
        {'layer_0': (2, 8), 'layer_1': (2, 8)}
    """
    return features_and_output(model, x)[0]


def features_and_output(
    model: keras.Model, x: ArrayLike
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the result of `layer_features` and the model's output (n, 1), from one pass."""
    if model not in _feature_models:
        features = {
            call.layer.name: next_call.inputs[0] for call, next_call in _chained_calls(model)
        }
        outputs = {"features": features, "output": model.outputs[0]}
        _feature_models[model] = forward_model(model, outputs)
    values = _feature_models[model].predict_on_batch(input_column(model, x))
    features, output = values["features"], values["output"]
    lost = ~np.isfinite(output).reshape(len(output), -1).all(axis=1)
    if lost.any():
        # TensorFlow's fused ReLU turns NaN into 0, so that the features of a network that diverged
        # may look finite.
        features = {name: np.array(own) for name, own in features.items()}
        for own in features.values():
            own[lost] = np.nan
    return features, output


_feature_models: weakref.WeakKeyDictionary[keras.Model, keras.Model] = weakref.WeakKeyDictionary()


def dense_calls(model: keras.Model) -> list[Call]:
    """Returns the calls of a model's Dense layers, in their order. The last is the read-out.

    Raises:
        ValueError: If the model is not functional, its input is not one number, or it has no
            hidden Dense layer.
    """
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "The model must be a functional model with one input and one output; received "
            f"'{model.name}'. Use `build_network`, or the functional API."
        )
    if tuple(model.inputs[0].shape[1:]) != (1,):
        raise ValueError(
            "The model must be a function of one variable, with inputs of shape (n, 1); received "
            f"'{model.name}', with inputs of shape {model.inputs[0].shape}."
        )
    calls = [c for c in _calls(model.outputs[0]) if isinstance(c.layer, keras.layers.Dense)]
    if len(calls) < 2:
        raise ValueError(
            "The model must have at least a hidden Dense layer and a Dense read-out; received "
            f"'{model.name}', with {len(calls)} Dense layers between input and output."
        )
    return calls


def check_chain(model: keras.Model) -> None:
    """Checks that each Dense layer of a model passes its features to the next one.

    Raises:
        ValueError: If a Dense layer does not receive what the one before it returns.
    """
    _chained_calls(model)


def _chained_calls(model: keras.Model) -> list[tuple[Call, Call]]:
    """Returns the call of each hidden Dense layer, with the call of the next Dense layer."""
    pairs = list(itertools.pairwise(dense_calls(model)))
    for call, next_call in pairs:
        if all(each.output is not call.output for each in _calls(next_call.inputs[0])):
            raise ValueError(
                "The model must be a chain of Dense layers, each of which receives the output of "
                f"the one before it; received '{model.name}', whose layer "
                f"'{next_call.layer.name}' does not receive the output of '{call.layer.name}'."
            )
    return pairs


def call_behind(tensor: keras.KerasTensor) -> Call:
    """Returns the call that made a symbolic tensor."""
    layer, inputs = internals.operation_behind(tensor)
    return Call(layer, inputs, tensor)


def forward_model(model: keras.Model, outputs: Any) -> keras.Model:
    """Returns a model that shares the layers of `model`, but outputs other tensors of its graph."""
    forward = keras.Model(model.inputs[0], outputs)
    # For such small networks, XLA takes longer to compile than it saves later.
    forward.jit_compile = keras.backend.backend() == "jax"
    return forward


def input_column(model: keras.Model, x: ArrayLike) -> np.ndarray:
    """Returns `x` as an array of the model's input type.

    Raises:
        ValueError: If `x` does not have the shape (n, 1).
    """
    column = np.asarray(x, dtype=model.inputs[0].dtype)
    if column.ndim != 2 or column.shape[1] != 1 or not len(column):
        raise ValueError(f"`x` must have the shape (n, 1); received the shape {column.shape}.")
    return column


def _calls(output: keras.KerasTensor) -> list[Call]:
    """Returns all calls that an output depends on. Each call follows those that it depends on."""
    found: dict[int, Call] = {}

    def visit(tensor: keras.KerasTensor) -> None:
        if id(tensor) not in found:
            call = call_behind(tensor)
            for source in call.inputs:
                visit(source)
            found[id(tensor)] = call

    visit(output)
    return list(found.values())
