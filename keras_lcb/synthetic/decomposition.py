"""What each layer of a residual network contributes to the output, exactly."""

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


@dataclass(frozen=True)
class _Decomposition:
    """The parts whose sum enters a linear read-out. It must not hold the model itself."""

    layers: tuple[str, ...]
    forward: keras.Model
    readout: keras.layers.Dense


_decompositions: weakref.WeakKeyDictionary[keras.Model, _Decomposition] = (
    weakref.WeakKeyDictionary()
)


def decompose(model: keras.Model, x: ArrayLike) -> xr.DataArray:
    """Split a residual network's output into what each layer adds through the read-out.

    The features that enter the read-out are a sum h = Σ_l h_l, and the read-out is linear, so
    f(x) = Σ_l h_l(x)·w + b without remainder. The first layer, which lifts the input, is a part
    like the others. One compiled forward pass gives all parts; it is kept for the model as long
    as the model lives.

    Args:
        model: A functional model whose last layer is a linear Dense layer with one unit that
            reads a sum, such as `build_network(..., residual=True)`.
        x: Inputs of shape (n, 1).

    Returns:
        Contributions with dims (`layer`, `x`), in evaluation mode; the read-out's bias is the
        last member, `readout_bias`. Their sum over `layer` is `model(x)` within float error.

    Raises:
        ValueError: If the output is no such sum: a plain network, a normalised or non-linear
            read-out, more than one output.

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
    """Return names and values of what `decompose` returns, in less time."""
    if model not in _decompositions:
        _decompositions[model] = _decomposition(model)
    parts = _decompositions[model]
    column = input_column(model, x)
    # In double precision: adding the parts up should cost no more than the model's own rounding.
    kernel = _values(parts.readout.kernel)[:, 0]
    outputs = keras.tree.flatten(parts.forward.predict_on_batch(column))
    # Not `@`: BLAS would wake its threads for it, which the training holds busy.
    members = [np.einsum("nu,u->n", features, kernel) for features in outputs]
    layers = list(parts.layers)
    if parts.readout.use_bias:
        members.append(np.full(len(column), _values(parts.readout.bias)[0]))
        layers.append(READOUT_BIAS)
    return layers, np.stack(members)


def _decomposition(model: keras.Model) -> _Decomposition:
    *hidden, read = dense_calls(model)
    readout = read.layer
    if model.outputs[0] is not read.output or readout.units != 1:
        raise ValueError(
            f"The output of '{model.name}' is not that of a Dense layer with one unit, so it does "
            "not split into parts: end the network in a linear Dense layer with one unit."
        )
    if readout.activation is not keras.activations.linear:
        raise ValueError(
            f"The read-out '{readout.name}' is not linear (its activation is "
            f"'{readout.activation.__name__}'), so its output does not split into parts: use a "
            "Dense layer without activation."
        )
    terms = _terms(read.inputs[0])
    source = call_behind(terms[0])
    if len(terms) == 1 and (len(hidden) > 1 or _normalizes(source)):
        raise ValueError(_refusal(model, source))
    return _Decomposition(
        layers=tuple(_dense_behind(term).name for term in terms),
        forward=forward_model(model, terms),
        readout=readout,
    )


def _refusal(model: keras.Model, source: Call) -> str:
    if _normalizes(source):
        return (
            f"The read-out of '{model.name}' reads normalised features ('{source.layer.name}'), "
            "and what layers add before a normalisation does not add up behind it: normalise "
            "inside the blocks instead."
        )
    return (
        f"The read-out of '{model.name}' does not read a sum of what the layers add, but the "
        f"output of '{source.layer.name}', so there are no parts that add up to its output: build "
        "a residual network, or use `probe` for what a plain network's layers carry."
    )


def _normalizes(call: Call) -> bool:
    return "Normalization" in type(call.layer).__name__


def _terms(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The tensors that a tree of additions sums, in order."""
    source = call_behind(tensor)
    kind = type(source.layer)
    # `keras.layers.Add`, or the operation behind `h + block(h)`.
    added = kind.__name__ == "Add" and kind.__module__.startswith("keras.")
    if not added or len(source.inputs) < 2:
        return [tensor]
    return [term for part in source.inputs for term in _terms(part)]


def _dense_behind(tensor: keras.KerasTensor) -> keras.layers.Layer:
    """The nearest Dense layer that a tensor comes from, through activation and normalisation."""
    source = call_behind(tensor)
    while not isinstance(source.layer, keras.layers.Dense) and len(source.inputs) == 1:
        source = call_behind(source.inputs[0])
    return source.layer


def _values(variable: keras.Variable) -> np.ndarray:
    return ops.on_host(variable).astype(np.float64)
