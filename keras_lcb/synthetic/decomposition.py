"""Splits the output of a residual network into the exact contributions of its layers."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import keras
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from keras_lcb.backend import ops
from keras_lcb.synthetic.features import (
    Call,
    call_behind,
    dense_calls,
    forward_model,
    input_column,
)

READOUT_BIAS = "readout_bias"
_MOST_ROUNDING = 0.05  # of the parts, in a network of half precision


@dataclass(frozen=True)
class _Decomposition:
    """The parts whose sum enters a linear read-out.

    It must not refer to the model, because it is stored with the model as a weak key.

    Attributes:
        layers: Names of the layers.
        places: For each part, the place of its layer. A layer that is called several times has
            several parts.
        forward: A model that outputs the parts.
        readout: The read-out.
    """

    layers: tuple[str, ...]
    places: tuple[int, ...]
    forward: keras.Model
    readout: keras.layers.Dense


_decompositions: weakref.WeakKeyDictionary[keras.Model, _Decomposition] = (
    weakref.WeakKeyDictionary()
)


def decompose(model: keras.Model, x: ArrayLike) -> xr.DataArray:
    """Splits a residual network's output into what each layer adds to it through the read-out.

    The features that enter the read-out are a sum h = Σ_l h_l over layers, and the read-out is
    linear. So f(x) = Σ_l h_l(x)·w + b, exactly. The first layer, which maps the input to the width
    of the network, contributes a part like every other layer.

    The cost is one forward pass, which computes the parts of all layers. It is compiled at the
    first call, and kept as long as the model exists.

    Args:
        model: A functional model that ends in a linear Dense layer with one unit, whose input is a
            sum; for example the network `build_network(..., residual=True)`.
        x: Inputs of shape (n, 1).

    Returns:
        An `xarray.DataArray` of the contributions, with dims (`layer`, `x`), in evaluation mode.
        The last layer, `readout_bias`, is the bias of the read-out. The sum over `layer` equals
        `model(x)` up to rounding errors. A part of the input itself, of a model within the model,
        or of several layers together is named after the layer or operation that returns it.

    Raises:
        ValueError: If the output is not such a sum: in a plain network, with a read-out that is
            normalized, quantized or not linear, or with several outputs.

    Example:
        >>> from keras_lcb.synthetic.networks import build_network
        >>> parts = decompose(build_network(2, 8, residual=True), [[0.0], [1.0], [2.0]])
        >>> parts.layer.values.tolist(), parts.sizes["x"]
        (['layer_0', 'layer_1', 'readout_bias'], 3)
    """
    layers, members = contributions(model, x)
    return xr.DataArray(
        members,
        dims=("layer", "x"),
        coords={"layer": layers, "x": np.asarray(x, np.float64)[:, 0]},
        name="contribution",
        attrs={"long_name": "contribution to the output", "units": "1"},
    )


def contributions(model: keras.Model, x: ArrayLike) -> tuple[list[str], np.ndarray]:
    """Returns the layers' names and contributions as `decompose` does, but without xarray.

    This takes less time.
    """
    if model not in _decompositions:
        _decompositions[model] = _decomposition(model)
    parts = _decompositions[model]
    members = _members(parts, input_column(model, x))
    return [*parts.layers, *([READOUT_BIAS] if parts.readout.use_bias else [])], members


def _members(parts: _Decomposition, column: np.ndarray) -> np.ndarray:
    """Returns the contribution of each layer, and of the bias, at some points."""
    # In double precision, so that the sum of the parts adds no rounding errors to those of the
    # model.
    kernel = _values(parts.readout.kernel)[:, 0]
    outputs = keras.tree.flatten(parts.forward.predict_on_batch(column))
    # Not `@`: BLAS would start its threads, which compete with the training for the cores.
    members = np.zeros((len(parts.layers), len(column)))
    for place, features in zip(parts.places, outputs, strict=True):
        members[place] += np.einsum("nu,u->n", features, kernel)
    if not parts.readout.use_bias:
        return members
    bias = np.full((1, len(column)), _values(parts.readout.bias)[0])
    return np.concatenate([members, bias])


def _decomposition(model: keras.Model) -> _Decomposition:
    *hidden, read = dense_calls(model)
    readout = read.layer
    if model.outputs[0] is not read.output or readout.units != 1:
        raise ValueError(
            "The model must end in a linear Dense layer with one unit, because only then its "
            f"output splits into parts; received '{model.name}'. Add such a layer at its end."
        )
    if readout.activation is not keras.activations.linear:
        raise ValueError(
            "The read-out must be linear, because only then the output splits into parts; received "
            f"the read-out '{readout.name}' with the activation "
            f"'{readout.activation.__name__}'. Use a Dense layer without activation."
        )
    terms = _terms(read.inputs[0])
    source = call_behind(terms[0])
    if len(terms) == 1 and (len(hidden) > 1 or _normalizes(source)):
        raise ValueError(_refusal(model, source))
    behind = [_layer_behind(term) for term in terms]
    layers = list({id(layer): layer for layer in behind}.values())
    found = _Decomposition(
        layers=tuple(layer.name for layer in layers),
        places=tuple(next(n for n, own in enumerate(layers) if own is layer) for layer in behind),
        forward=forward_model(model, terms),
        readout=readout,
    )
    _check_sum(model, found)
    return found


def _check_sum(model: keras.Model, parts: _Decomposition) -> None:
    """Checks that the parts add up, which needs a read-out that multiplies by its kernel.

    Raises:
        ValueError: If they do not: the read-out is quantized, or computes something of its own.
    """
    points = np.linspace(-1.0, 1.0, 5)[:, np.newaxis]
    members = _members(parts, input_column(model, points))
    whole = forward_model(model, model.outputs[0]).predict_on_batch(input_column(model, points))
    missed = abs(members.sum(axis=0) - np.asarray(whole, np.float64)[:, 0])
    if (missed > _MOST_ROUNDING * abs(members).sum(axis=0).max()).any():
        raise ValueError(
            f"The output of '{model.name}' is not the sum of its layers' parts: the read-out "
            f"'{parts.readout.name}' does not simply multiply by its kernel and add its bias, as "
            "when it is quantized or a subclass of Dense with a `call` of its own. Use a plain "
            "Dense layer as the read-out."
        )


def _refusal(model: keras.Model, source: Call) -> str:
    if _normalizes(source):
        return (
            f"The input of the read-out must be a sum of the layers' outputs; the read-out of "
            f"'{model.name}' received normalized features ('{source.layer.name}'), which are not "
            "the sum of separate parts. Normalize inside the residual blocks instead."
        )
    return (
        f"The input of the read-out must be a sum of the layers' outputs; the read-out of "
        f"'{model.name}' received the output of '{source.layer.name}'. Build a residual network, "
        "or use `probe`, which measures the features of a plain network's layers."
    )


def _normalizes(call: Call) -> bool:
    return "Normalization" in type(call.layer).__name__


def _terms(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Returns the terms of a sum, in order, where terms may be sums themselves."""
    source = call_behind(tensor)
    kind = type(source.layer)
    # The layer `keras.layers.Add`, or the operation of the expression `h + block(h)`.
    added = kind.__name__ == "Add" and kind.__module__.startswith("keras.")
    if not added or len(source.inputs) < 2:
        return [tensor]
    return [term for part in source.inputs for term in _terms(part)]


def _layer_behind(tensor: keras.KerasTensor) -> keras.layers.Layer:
    """Returns the layer that made a term, possibly before an activation or normalization.

    It is a Dense layer, but for a term that a model within the model, the input, or several layers
    together have made.
    """
    source = call_behind(tensor)
    while len(source.inputs) == 1 and (
        _normalizes(source) or not getattr(source.layer, "weights", ())
    ):
        source = call_behind(source.inputs[0])
    return source.layer


def _values(variable: keras.Variable) -> np.ndarray:
    return ops.on_host(variable).astype(np.float64)
