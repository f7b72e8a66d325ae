"""The filter against its definition, and against functions of known frequency."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from keras_lcb.response.gaussian_filter import GaussianFilter
from keras_lcb.response.targets import as_functions
from keras_lcb.vision.sets.synthetic_textures import synthetic_textures


def gram(x):
    x = np.asarray(x, "float64").reshape(len(x), -1)
    return (x - x.mean(0)) @ (x - x.mean(0)).T


def by_definition(x, f, cutoff):
    """Returns the low and high part of Xu et al., computed sample by sample."""
    n = len(x)
    apart = [[np.sum((x[i] - x[j]) ** 2) for j in range(n)] for i in range(n)]
    unit = np.sum(apart) / (n * (n - 1))
    delta = math.log(2) / (2 * math.pi**2 * cutoff**2) * unit
    f = f - f.mean(axis=0)
    low = np.empty_like(f)
    for i in range(n):
        weights = np.exp(-np.array(apart[i]) / (2 * delta))
        low[i] = weights @ f / weights.sum()
    high = f - low
    return np.sum(high**2) / (np.sum(high**2) + np.sum(low**2))


@pytest.mark.parametrize("cutoff", [0.2, 0.6, 2.0])
def test_the_share_is_that_of_the_definition(cutoff):
    random = np.random.default_rng(0)
    x, f = random.normal(3.0, size=(30, 4)), random.normal(1.0, size=(30, 2))
    f[:, 0] += 5 * x[:, 0]
    splitting = GaussianFilter(gram(x), cutoff)
    truth = by_definition(x, f, cutoff)
    np.testing.assert_allclose(splitting.share_above(f), truth, rtol=1e-9)
    np.testing.assert_allclose(splitting.share_above_in(gram(f)), truth, rtol=1e-9)


@pytest.mark.parametrize("waves", [1, 3, 6, 20])
@pytest.mark.parametrize("cutoff", [0.3, 1.0, 2.0])
def test_waves_on_a_circle_have_exactly_the_share_of_the_closed_form(waves, cutoff):
    """The kernel is exp(a cos θ), which multiplies k waves by Iₖ(a) / I₀(a) (Bessel functions)."""
    points = 300
    angles = 2 * np.pi * np.arange(points) / points
    x = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    delta = math.log(2) / (2 * math.pi**2 * cutoff**2) * 2 * 25 * points / (points - 1)
    damping = special.ive(waves, 25 / delta) / special.ive(0, 25 / delta)
    truth = (1 - damping) ** 2 / ((1 - damping) ** 2 + damping**2)
    wave = np.stack([np.cos(waves * angles), np.sin(waves * angles + 1)], axis=1)
    np.testing.assert_allclose(GaussianFilter(gram(x), cutoff).share_above(wave), truth, rtol=1e-6)


@pytest.mark.parametrize("frequency", [2, 5, 10, 20, 40])
def test_waves_on_an_interval_have_nearly_the_share_of_plane_waves(frequency):
    """The points lie in [0, 1). The root mean square of their distances is √(1/6)."""
    x = np.linspace(0, 1, 2000, endpoint=False)[:, None]
    cutoff = 10 * math.sqrt(1 / 6)  # 10 waves over 1
    found = GaussianFilter(gram(x), cutoff).share_above(np.sin(2 * np.pi * frequency * x))
    damping = 2.0 ** -((frequency / 10) ** 2)
    truth = (1 - damping) ** 2 / ((1 - damping) ** 2 + damping**2)
    assert abs(found - truth) < 0.04
    if frequency == 10:
        assert abs(truth - 0.5) < 1e-12


def test_waves_over_a_plane_are_separated_in_any_direction():
    random = np.random.default_rng(1)
    x = random.uniform(size=(1500, 2))
    splitting = GaussianFilter(gram(x), cutoff=3.0)  # over √(1/3): about 5 waves over 1
    for direction in ([1.0, 0.0], [0.6, 0.8]):
        along = x @ np.array(direction)
        shares = [splitting.share_above(np.cos(2 * np.pi * k * along)) for k in (1, 5.2, 16)]
        assert shares[0] < 0.1 and abs(shares[1] - 0.5) < 0.12 and shares[2] > 0.9


def test_scale_and_shift_of_points_and_functions_change_nothing():
    random = np.random.default_rng(2)
    x, f = random.normal(size=(40, 3)), random.normal(size=(40, 1))
    one = GaussianFilter(gram(x), 0.5).share_above(f)
    other = GaussianFilter((7 * x + 2) @ (7 * x + 2).T, 0.5).share_above(-3 * f + 8)
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_own_weight_is_large_for_points_far_apart():
    x = np.eye(20)
    f = np.random.default_rng(3).normal(size=(20, 1))
    lone = GaussianFilter(gram(x), 3.0)
    assert lone.own_weight > 0.999 and lone.share_above(f) < 1e-6  # everything passes
    assert GaussianFilter(gram(x), 0.05).own_weight < 0.06


def test_what_has_no_frequency_is_nan():
    x = np.random.default_rng(4).normal(size=(10, 2))
    assert math.isnan(GaussianFilter(gram(x), 0.5).share_above(np.full((10, 1), 0.3)))
    assert math.isnan(GaussianFilter(np.zeros((10, 10)), 0.5).share_above(x))
    assert math.isnan(GaussianFilter(np.full((10, 10), np.nan), 0.5).share_above(x))


def test_textures_of_a_high_frequency_are_a_function_of_high_frequency():
    shares = {}
    for pattern in ("low", "high"):
        images, labels = synthetic_textures(pattern, images=256).splits["train"]
        splitting = GaussianFilter(gram(images), 0.5)
        shares[pattern] = splitting.share_above(as_functions(labels))
    assert splitting.own_weight < 0.1
    assert shares["low"] < 0.7 and shares["high"] > 0.95
