"""Random directions on the scale of a layer's filters (Li et al. 2018)."""

from __future__ import annotations

import math

import keras
import numpy as np

from keras_lcb.training.layers import TrackedLayer


def filter_axes(layer: keras.layers.Layer, variable: keras.Variable) -> tuple[int, ...] | None:
    """Finds the axes of a variable along which a layer's filters are counted.

    A filter is what stands at one index of these axes: what makes one output. They are the last
    axis of dense, convolution, grouped convolution and recurrent kernels (a gate's column), the
    last two of depthwise kernels, the last but one of transposed convolutions, all axes that the
    output of an `EinsumDense` has, and the first (a row) of embeddings.

    Args:
        layer: The layer that owns the variable; of a recurrent layer, its cell.
        variable: One of its variables.

    Returns:
        Axes, or `None` for what has no filters to compare: biases, vectors, all of a normalisation,
        and kernels whose filters hold a single number each, as those of a Dense layer with one
        input do. Scaled to its norm, such a filter's direction is ±w whatever is drawn.

    Example:
    >>> layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    >>> layer.build((None, 8, 8, 5))
    >>> tuple(layer.kernel.shape), filter_axes(layer, layer.kernel)
    ((3, 3, 5, 2), (2, 3))
    """
    axes = _output_axes(layer, variable)
    if axes is None or math.prod(_within(tuple(variable.shape), axes)) == 1:
        return None
    return axes


def _output_axes(layer: keras.layers.Layer, variable: keras.Variable) -> tuple[int, ...] | None:
    kind = type(layer).__name__
    rank = len(variable.shape)
    if rank < 2 or "Normalization" in kind or variable.name.endswith("bias"):
        return None
    if "Embedding" in kind:
        return (0,)
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum_axes(layer.equation)
    if "Transpose" in kind:
        return (rank - 2,)
    if variable.name.startswith("depthwise") or "Depthwise" in kind:
        return (rank - 2, rank - 1)
    return (rank - 1,)


def _within(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    """The shape of one filter."""
    return [int(size) for axis, size in enumerate(shape) if axis not in axes]


def _einsum_axes(equation: str) -> tuple[int, ...]:
    """The places of the kernel's labels that the output has, too."""
    inputs, output = equation.replace(" ", "").split("->")
    kernel = inputs.split(",")[1]
    return tuple(place for place, label in enumerate(kernel) if label in output)


def random_direction(
    row: TrackedLayer, weights: list[np.ndarray], random: np.random.Generator
) -> list[np.ndarray]:
    """Draws a direction in which each filter has the norm of the same filter of the weights.

    Each filter d of a Gaussian direction becomes d·‖w‖/‖d‖, w being the layer's filter (Li et
    al., "Visualizing the Loss Landscape of Neural Nets", 2018): networks that differ only in the
    scale of their filters, as ReLU networks and normalised ones may without computing anything
    else, have the same picture. What has no filters is not moved.

    Args:
        row: The layer.
        weights: Its weights, an array for each of its variables.
        random: What to draw with.

    Returns:
        An array for each variable, of its shape.
    """
    owners = _owners(row)
    direction = []
    for variable, weight in zip(row.variables, weights, strict=True):
        axes = filter_axes(owners[id(variable)], variable)
        if axes is None:
            direction.append(np.zeros_like(weight))
        else:
            drawn = random.standard_normal(weight.shape)
            direction.append((drawn * _scale(weight, drawn, axes)).astype(weight.dtype))
    return direction


def has_filters(row: TrackedLayer, weights: list[np.ndarray]) -> bool:
    """Tells whether any filter of a layer can move: its directions are not all zero."""
    owners = _owners(row)
    return any(
        np.any(weight) and filter_axes(owners[id(variable)], variable) is not None
        for variable, weight in zip(row.variables, weights, strict=True)
    )


def _scale(weight: np.ndarray, drawn: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    within = tuple(axis for axis in range(weight.ndim) if axis not in axes)

    def norms(array: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum(np.square(array, dtype=np.float64), axis=within, keepdims=True))

    return norms(weight) / norms(drawn)


def _owners(row: TrackedLayer) -> dict[int, keras.layers.Layer]:
    """The layer that made each variable: of recurrent layers, a cell."""
    return {
        id(variable): part
        for layer in row.layers
        for part in layer._flatten_layers()
        for variable in part._trainable_variables
    }
