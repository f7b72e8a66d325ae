"""Random directions on the scale of a layer's filters (Li et al. 2018)."""

from __future__ import annotations

import math

import keras
import numpy as np

from keras_lcb.backend import internals
from keras_lcb.training.layers import TrackedLayer

_TRANSPOSED = tuple(getattr(keras.layers, f"Conv{axes}DTranspose") for axes in (1, 2, 3))
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def filter_axes(layer: keras.layers.Layer, variable: keras.Variable) -> tuple[int, ...] | None:
    """Finds the axes of a variable that count a layer's filters.

    A filter holds the weights that compute one output. Each index of the returned axes selects one
    filter. The axes are:

    * the last axis of dense, convolution, grouped convolution and recurrent kernels (in a recurrent
      kernel, a filter is one column of a gate);
    * the last two axes of depthwise kernels;
    * the last axis but one of transposed convolutions;
    * all axes of an `EinsumDense` kernel that its output has, too;
    * the first axis of embeddings (a filter is a row): of the table of a `keras.layers.Embedding`,
      and of each variable that is called "embeddings".

    Args:
        layer: The layer that owns the variable. For a recurrent layer, this is its cell.
        variable: One of the layer's variables.

    Returns:
        The axes. `None` if the variable has no filters to compare: biases, vectors, all variables
        of a normalization, the slopes of a `PReLU`, and kernels whose filters hold only one
        number, as in a Dense layer with one input. A random direction for one number w, scaled to
        the norm of w, is always w or −w.

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
    if isinstance(layer, keras.layers.PReLU):
        return None
    if _is_table(layer, variable):
        return (0,)
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum_axes(layer.equation)
    if isinstance(layer, _TRANSPOSED):
        return (rank - 2,)
    if variable.name.startswith("depthwise") or isinstance(layer, _DEPTHWISE):
        return (rank - 2, rank - 1)
    return (rank - 1,)


def _is_table(layer: keras.layers.Layer, variable: keras.Variable) -> bool:
    """Returns whether the rows of a variable are looked up.

    The name of the class does not tell: a "PatchEmbedding" may be a convolution.
    """
    if isinstance(layer, keras.layers.Embedding):
        return variable.name != "reverse_embeddings"  # the kernel of a ReversibleEmbedding
    return variable.name == "embeddings"


def _within(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    """Returns the shape of one filter."""
    return [int(size) for axis, size in enumerate(shape) if axis not in axes]


def _einsum_axes(equation: str) -> tuple[int, ...]:
    """Returns the axes of the kernel whose labels also appear in the output."""
    inputs, output = equation.replace(" ", "").split("->")
    kernel = inputs.split(",")[1]
    return tuple(place for place, label in enumerate(kernel) if label in output)


def random_direction(
    row: TrackedLayer, weights: list[np.ndarray], random: np.random.Generator
) -> list[np.ndarray]:
    """Draws a random direction in which each filter has the norm of the layer's own filter.

    Each filter d of a Gaussian direction becomes d·‖w‖/‖d‖, where w is the layer's filter (Li et
    al., "Visualizing the Loss Landscape of Neural Nets", 2018). In networks with ReLUs or
    normalization, filters can have another scale although the network computes the same function.
    With these directions, such networks have the same picture. Variables without filters do not
    move.

    Args:
        row: The layer.
        weights: The layer's weights, an array for each of its variables.
        random: The random generator to draw with.

    Returns:
        An array for each variable, with the shape of the variable.

    Example:
    >>> from keras_lcb.training.layers import tracked_layers
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
    >>> row, weights = tracked_layers(model).layers[0], [np.array([[3.0], [4.0]]), np.zeros(1)]
    >>> kernel, bias = random_direction(row, weights, np.random.default_rng(0))
    >>> round(float(np.linalg.norm(kernel)), 6), bias.tolist()
    (5.0, [0.0])
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
    """Returns whether a layer has a filter that is not zero, so that a direction can move it."""
    owners = _owners(row)
    return any(
        np.any(weight) and filter_axes(owners[id(variable)], variable) is not None
        for variable, weight in zip(row.variables, weights, strict=True)
    )


def _scale(weight: np.ndarray, drawn: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Returns the factor for each filter that gives the drawn direction the norm of the weight."""
    within = tuple(axis for axis in range(weight.ndim) if axis not in axes)

    def norms(array: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum(np.square(array, dtype=np.float64), axis=within, keepdims=True))

    return norms(weight) / norms(drawn)


def _owners(row: TrackedLayer) -> dict[int, keras.layers.Layer]:
    """Returns the layer that owns each variable, by the variable's id."""
    return {
        id(variable): part
        for layer in row.layers
        for part in (layer, *internals.flattened(layer))
        for variable in internals.own_variables(part)
    }
