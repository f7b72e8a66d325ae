"""Filter-normalized directions, against the definition on the output axes of each layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from keras_lcb.landscape.filters import filter_axes, has_filters, random_direction
from keras_lcb.training.layers import tracked_layers

IMAGE, SERIES, TOKENS = (6, 6, 4), (5, 4), (5,)


class PatchEmbedding(layers.Conv2D):
    """A kernel, and not a table, whatever the name of the class."""


class TransposedDense(layers.Dense):
    """A kernel as that of `Dense`."""


class Table(layers.Embedding):
    """A table whose class is not called so."""


class Positions(layers.Layer):
    """A table of a layer that is no `Embedding`."""

    def build(self, shape):
        self.table = self.add_weight(shape=(5, 4), name="embeddings")

    def call(self, inputs):
        return inputs + self.table


# Layer, input, and for each kernel the axes of its outputs; what is not named does not move.
CASES = {
    "dense": (layers.Dense(3), (4,), {"kernel": (1,)}),
    "conv": (layers.Conv2D(3, 2), IMAGE, {"kernel": (3,)}),
    "grouped": (layers.Conv2D(6, 2, groups=2), IMAGE, {"kernel": (3,)}),
    "one-dimensional": (layers.Conv1D(3, 2), SERIES, {"kernel": (2,)}),
    "depthwise": (layers.DepthwiseConv2D(2, depth_multiplier=3), IMAGE, {"kernel": (2, 3)}),
    "separable": (
        layers.SeparableConv2D(5, 2, depth_multiplier=2),
        IMAGE,
        {"depthwise_kernel": (2, 3), "pointwise_kernel": (3,)},
    ),
    "transposed": (layers.Conv2DTranspose(3, 2), IMAGE, {"kernel": (2,)}),
    "einsum": (
        layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
        SERIES,
        {"kernel": (1, 2)},
    ),
    "einsum with an ellipsis": (
        layers.EinsumDense("...x,yx->...y", 3),
        SERIES,
        {"kernel": (0,)},
    ),
    "lstm": (layers.LSTM(3), SERIES, {"kernel": (1,), "recurrent_kernel": (1,)}),
    "gru": (layers.GRU(3), SERIES, {"kernel": (1,), "recurrent_kernel": (1,)}),
    "embedding": (layers.Embedding(7, 3), TOKENS, {"embeddings": (0,)}),
    "called an embedding": (PatchEmbedding(3, 2), IMAGE, {"kernel": (3,)}),
    "called transposed": (TransposedDense(3), (4,), {"kernel": (1,)}),
    "not called an embedding": (Table(7, 3), TOKENS, {"embeddings": (0,)}),
    "positions": (Positions(), SERIES, {"embeddings": (0,)}),
    "slopes": (layers.PReLU(), IMAGE, {}),
    "normalization": (layers.LayerNormalization(axis=(1, 2)), SERIES, {}),
    "batch normalization": (layers.BatchNormalization(), SERIES, {}),
}


@pytest.fixture(params=CASES)
def case(request):
    layer, shape, axes = CASES[request.param]
    layer = type(layer).from_config(layer.get_config())  # built anew for each test
    inputs = keras.Input(shape, dtype="int32" if shape == TOKENS else None)
    model = keras.Model(inputs, layer(inputs))
    (row,) = tracked_layers(model).layers
    random = np.random.default_rng(1)
    weights = [random.normal(size=v.shape).astype("float32") for v in row.variables]
    return row, weights, axes


def test_filters_have_the_norms_of_the_weights(case):
    row, weights, axes = case
    direction = random_direction(row, weights, np.random.default_rng(0))
    for variable, weight, drawn in zip(row.variables, weights, direction, strict=True):
        assert drawn.shape == weight.shape and drawn.dtype == weight.dtype
        if variable.name not in axes:
            assert not drawn.any(), variable.path
            continue
        for index in np.ndindex(*[weight.shape[axis] for axis in axes[variable.name]]):
            chosen = [slice(None)] * weight.ndim
            for axis, place in zip(axes[variable.name], index, strict=True):
                chosen[axis] = place
            one, other = weight[tuple(chosen)], drawn[tuple(chosen)]
            np.testing.assert_allclose(np.linalg.norm(other), np.linalg.norm(one), rtol=1e-5)
            assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("layer", "shape", "name"),
    [
        (layers.Dense(3), (1,), "kernel"),
        (layers.Conv2D(3, 1), (6, 6, 1), "kernel"),
        (layers.DepthwiseConv2D(1), IMAGE, "kernel"),
        (layers.Embedding(7, 1), TOKENS, "embeddings"),
    ],
)
def test_filters_of_a_single_number_do_not_move(layer, shape, name):
    layer = type(layer).from_config(layer.get_config())
    inputs = keras.Input(shape, dtype="int32" if shape == TOKENS else None)
    (row,) = tracked_layers(keras.Model(inputs, layer(inputs))).layers
    weights = [np.ones(v.shape) for v in row.variables]
    assert row.variables[0].name == name and filter_axes(layer, row.variables[0]) is None
    assert not any(part.any() for part in random_direction(row, weights, np.random.default_rng(0)))
    assert not has_filters(row, weights)


def test_layers_have_filters_unless_these_are_zero(case):
    row, weights, axes = case
    assert has_filters(row, weights) == bool(axes)
    assert not has_filters(row, [0 * weight for weight in weights])


def test_multi_head_attention_counts_each_head_s_outputs():
    attention = layers.MultiHeadAttention(num_heads=2, key_dim=3)
    attention.build((None, *SERIES), (None, *SERIES))
    query = attention.query_dense
    assert tuple(query.kernel.shape) == (4, 2, 3)
    assert filter_axes(query, query.kernel) == (1, 2)
    assert filter_axes(query, query.bias) is None, "a bias of two axes is a bias"
    assert filter_axes(attention.output_dense, attention.output_dense.kernel) == (2,)


def test_a_filter_of_zeros_does_not_move():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False)(inputs))
    (row,) = tracked_layers(model).layers
    weight = np.array([[1.0, 0.0]] * 4)
    (drawn,) = random_direction(row, [weight], np.random.default_rng(0))
    assert not drawn[:, 1].any() and np.isfinite(drawn).all()


def test_the_seed_decides():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    (row,) = tracked_layers(model).layers
    weights = [np.ones((4, 2)), np.zeros(2)]
    one, same, other = (
        random_direction(row, weights, np.random.default_rng(seed))[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
