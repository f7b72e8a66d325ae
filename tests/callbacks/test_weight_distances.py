"""Norms and distances of layers, against NumPy, layer by layer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from keras_lcb.callbacks import weight_distances
from keras_lcb.callbacks.weight_distances import Layout, norms, weights

SIZES = (7, 0, 300, 1, 45, 12)
# The kernels of each layer: none, all of it, in its middle, two next to each other.
KERNELS = ((slice(0, 4),), (), (), (slice(0, 1),), (slice(5, 40),), (slice(2, 5), slice(5, 12)))


def drawn(seed, sizes=SIZES):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=size).astype("float32") for size in sizes]


def expected(layer, other, kernels):
    apart = layer.astype("float64") - (0.0 if other is None else other.astype("float64"))
    of_kernels = [apart[part] for part in kernels]
    return np.linalg.norm(apart), np.linalg.norm(np.concatenate([[0.0], *of_kernels]))


# With a small chunk, layers are cut within kernels, and few records are read at once.
@pytest.mark.parametrize("chunk", [10, 64, 1 << 15])
@pytest.mark.parametrize("joined", [False, True])
def test_lengths_of_each_layer_are_those_of_numpy(monkeypatch, chunk, joined):
    monkeypatch.setattr(weight_distances, "_CHUNK", chunk)
    records, other = [drawn(seed) for seed in range(9)], drawn(99)
    given = [[np.concatenate(layers)] for layers in records] if joined else records
    found = Layout(SIZES, KERNELS).lengths(given, None, other)
    for (whole, kernel), reference in zip(found, (None, other), strict=True):
        for at, layers in enumerate(records):
            for place, layer in enumerate(layers):
                end = None if reference is None else reference[place]
                exact = expected(layer, end, KERNELS[place])
                np.testing.assert_allclose(whole[at, place], exact[0], rtol=1e-12)
                np.testing.assert_allclose(kernel[at, place], exact[1], rtol=1e-12)


def test_a_layer_that_is_not_finite_leaves_the_others_alone():
    layers = drawn(0)
    layers[2][5], layers[4][0] = np.nan, np.inf
    whole, _ = Layout(SIZES).lengths([layers, drawn(0)], layers)[0]
    assert np.isnan(whole[0, [2, 4]]).all() and np.isnan(whole[1, 2]) and np.isinf(whole[1, 4])
    np.testing.assert_array_equal(whole[:, [0, 1, 3, 5]], 0.0)
    assert np.isnan(norms(layers)[2]) and np.isinf(norms(layers)[4])


def test_any_stretch_of_weights_can_be_read():
    layers = drawn(3, (4, 0, 3, 5))
    whole = np.concatenate(layers)
    for start, stop in itertools.combinations(range(len(whole) + 1), 2):
        for parts in (layers, [whole]):
            np.testing.assert_array_equal(weights([parts], start, stop), [whole[start:stop]])
