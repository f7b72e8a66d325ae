"""What the layers of a network put out, read from its graph in one compiled forward pass."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Call:
    """One place in a network where a layer stands."""

    layer: keras.layers.Layer
    inputs: tuple[keras.KerasTensor, ...]
    output: keras.KerasTensor


def layer_features(model: keras.Model, x: ArrayLike) -> dict[str, np.ndarray]:
    """Return what each hidden layer hands on to the next one, in evaluation mode.

    In a plain network these are the layer's activations, in a residual one the sum so far. The
    forward pass is compiled once and kept for as long as the model lives.

    Args:
        model: A chain of Dense layers: a network of `build_network`, or one like it.
        x: Inputs of shape (n, 1).

    Returns:
        Layer name to features (n, units), shallow first, the read-out left out.

    Raises:
        ValueError: If the model is no such chain, or `x` has another shape.

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
    """Return what `layer_features` returns, and the model's output (n, 1), from one pass."""
    if model not in _feature_models:
        calls = dense_calls(model)
        handed_on = {
            call.layer.name: following.inputs[0]
            for call, following in zip(calls, calls[1:], strict=False)
        }
        outputs = {"features": handed_on, "output": model.outputs[0]}
        _feature_models[model] = forward_model(model, outputs)
    values = _feature_models[model].predict_on_batch(input_column(model, x))
    return values["features"], values["output"]


_feature_models: weakref.WeakKeyDictionary[keras.Model, keras.Model] = weakref.WeakKeyDictionary()


def dense_calls(model: keras.Model) -> list[Call]:
    """Return where a model's Dense layers stand, in the order of their calls, the read-out last.

    Raises:
        ValueError: If Keras does not know the model's graph, or it has no hidden Dense layer.
    """
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"The model '{model.name}' is no functional model with one input and one output: use "
            "`build_network`, or the functional API."
        )
    calls = [c for c in _calls(model.outputs[0]) if isinstance(c.layer, keras.layers.Dense)]
    if len(calls) < 2:
        raise ValueError(
            f"The model '{model.name}' needs a hidden Dense layer and a Dense read-out, it has "
            f"{len(calls)} Dense layers between its input and its output."
        )
    return calls


def call_behind(tensor: keras.KerasTensor) -> Call:
    """Return which layer made a tensor, and from what."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return Call(history.operation, tuple(node.input_tensors), tensor)


def forward_model(model: keras.Model, outputs: Any) -> keras.Model:
    """Return a model that shares `model`'s layers and puts out inner tensors."""
    forward = keras.Model(model.inputs[0], outputs)
    # XLA takes longer to compile so small a network than it ever saves.
    forward.jit_compile = keras.backend.backend() == "jax"
    return forward


def input_column(model: keras.Model, x: ArrayLike) -> np.ndarray:
    """Return `x` as the model takes it.

    Raises:
        ValueError: If it is not of shape (n, 1).
    """
    column = np.asarray(x, dtype=model.inputs[0].dtype)
    if column.ndim != 2 or column.shape[1] != 1 or not len(column):
        raise ValueError(f"`x` must have shape (n, 1), got {column.shape}.")
    return column


def _calls(output: keras.KerasTensor) -> list[Call]:
    """Every call that an output comes from, each after those that it needs."""
    found: dict[int, Call] = {}

    def visit(tensor: keras.KerasTensor) -> None:
        if id(tensor) not in found:
            call = call_behind(tensor)
            for source in call.inputs:
                visit(source)
            found[id(tensor)] = call

    visit(output)
    return list(found.values())
