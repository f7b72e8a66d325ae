"""CKA against its definition in float64, against a published package, and its properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from keras_lcb.similarity.cka import cka, hsic_vector, unit, vector_size


@pytest.fixture
def random():
    return np.random.default_rng(0)


def gram(x):
    return x @ x.T


def hsic_by_definition(k, ell):
    """Returns the estimate of Song et al., term by term."""
    n = len(k)
    k, ell = k - np.diag(np.diag(k)), ell - np.diag(np.diag(ell))
    one = np.ones(n)
    terms = (
        np.trace(k @ ell)
        + (one @ k @ one) * (one @ ell @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ ell @ one)
    )
    return terms / (n * (n - 3))


def cka_by_definition(xs, ys):
    pairs = [(gram(x), gram(y)) for x, y in zip(xs, ys, strict=True)]
    xy, xx, yy = (
        sum(hsic_by_definition(*each) for each in kind)
        for kind in (pairs, [(k, k) for k, _ in pairs], [(m, m) for _, m in pairs])
    )
    return xy / np.sqrt(xx * yy)


def batches(random, sizes, features, shift=0.0):
    return [random.normal(shift, size=(size, features)) for size in sizes]


@pytest.mark.parametrize("n", [4, 5, 16])
def test_products_are_the_unbiased_estimate(n, random):
    (x,), (y,) = batches(random, [n], 3, 1.0), batches(random, [n], 7)
    product = hsic_vector([gram(x)]) @ hsic_vector([gram(y)])
    np.testing.assert_allclose(product, hsic_by_definition(gram(x), gram(y)), rtol=1e-10)


def test_the_estimate_has_no_bias(random):
    """The estimate from all samples is the mean of the estimates from all subsets of a size."""
    (x,), (y,) = batches(random, [8], 3), batches(random, [8], 2)
    of_parts = [
        hsic_vector([gram(x[list(part)])]) @ hsic_vector([gram(y[list(part)])])
        for part in itertools.combinations(range(8), 4)
    ]
    whole = hsic_vector([gram(x)]) @ hsic_vector([gram(y)])
    np.testing.assert_allclose(np.mean(of_parts), whole, rtol=1e-10)


@pytest.mark.parametrize("sizes", [[10], [8, 8, 8], [7, 8, 8]])
def test_cka_agrees_with_its_definition(sizes, random):
    xs = batches(random, sizes, 5, 2.0)
    ys = [np.hstack([3 * x[:, :2], y]) for x, y in zip(xs, batches(random, sizes, 2), strict=True)]
    found = cka(hsic_vector(map(gram, xs)), hsic_vector(map(gram, ys)))
    np.testing.assert_allclose(found, cka_by_definition(xs, ys), rtol=1e-10)
    assert 0.1 < found < 0.9


@pytest.mark.parametrize("count", [1, 4])
def test_cka_agrees_with_a_published_package(count, random):
    torch = pytest.importorskip("torch")
    ckatorch = pytest.importorskip("ckatorch")
    x, y = random.normal(1.0, size=(count, 12, 6)), random.normal(size=(count, 12, 3))
    y[..., 0] += x[..., 0]
    found = cka(hsic_vector(map(gram, x)), hsic_vector(map(gram, y)))
    theirs = ckatorch.cka_batch(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(found, float(theirs), rtol=1e-10)


def test_rotation_scale_and_shift_change_nothing(random):
    (x,) = batches(random, [20], 6)
    turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
    other = 1e3 * x @ turn + 5.0
    np.testing.assert_allclose(cka(hsic_vector([gram(x)]), hsic_vector([gram(other)])), 1.0)


def test_unrelated_representations_have_zero_cka_on_average(random):
    found = [
        cka(*(hsic_vector([gram(random.normal(size=(10, 30)))]) for _ in range(2)))
        for _ in range(300)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)
    assert min(found) < 0  # without bias, half of them lie below


def test_constant_representations_have_no_cka(random):
    constant, (x,) = np.zeros((6, 6)), batches(random, [6], 2)
    assert np.isnan(cka(hsic_vector([constant]), hsic_vector([gram(x)])))
    assert np.isnan(cka(hsic_vector([np.nan * gram(x)]), hsic_vector([gram(x)])))


def test_several_layers_at_once_give_the_same_and_vectors_can_be_normalized(random):
    x = random.normal(size=(3, 6, 2))
    grams = x @ x.transpose(0, 2, 1)
    vectors = hsic_vector([grams, grams])
    assert vectors.shape == (3, vector_size([6, 6]))
    for place in range(3):
        np.testing.assert_array_equal(vectors[place], hsic_vector([grams[place]] * 2))
    vectors[1] = 0.0
    lengths = np.linalg.norm(unit(vectors), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1])
    np.testing.assert_allclose(cka(unit(vectors), vectors), [1, np.nan, 1])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_layer_that_is_active_on_a_single_sample_has_no_cka(random, scale):
    """The estimate of HSIC is zero then, and only rounding errors are left of it."""
    x, other = np.zeros((16, 8)), random.normal(size=(16, 8))
    x[3] = scale * random.random(8)
    one, another = x - x.mean(axis=0), other - other.mean(axis=0)
    assert np.isnan(cka(hsic_vector([gram(one)]), hsic_vector([gram(another)])))
    x[5] = scale * random.random(8)  # two samples are enough
    one = x - x.mean(axis=0)
    found = cka(hsic_vector([gram(one)]), hsic_vector([gram(another)]))
    np.testing.assert_allclose(found, cka_by_definition([one], [another]))
