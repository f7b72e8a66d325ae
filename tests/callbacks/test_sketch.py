"""The count-sketch against its own definition, and against the distances that it estimates."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_lcb.callbacks.sketch import CountSketch
from keras_lcb.callbacks.snapshots import Snapshots, kept
from tests.modes import BACKEND


@settings(deadline=None, max_examples=30)
@given(
    size=st.integers(1, 3000),
    buckets=st.integers(1, 500),
    seed=st.integers(0, 99),
    factor=st.floats(-3, 3, allow_subnormal=False),  # torch may switch them off
)
def test_a_sketch_is_linear_and_the_same_each_time(size, buckets, seed, factor):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, size)).astype("float32")
    sketch = CountSketch(size, buckets, seed)
    np.testing.assert_array_equal(sketch(a), CountSketch(size, buckets, seed)(a))
    np.testing.assert_allclose(
        sketch((a + factor * b).astype("float32")), sketch(a) + factor * sketch(b), atol=1e-3
    )
    assert len(sketch(a)) == min(size, buckets)


def test_each_coordinate_goes_to_one_bucket_with_a_sign():
    size, buckets = 70_000, 16  # longer than what is drawn at once
    sketch = CountSketch(size, buckets, seed=1)
    places = []
    for coordinate in (0, 1, 65_535, 65_536, 69_999):
        unit = np.zeros(size, "float32")
        unit[coordinate] = 1
        image = sketch(unit)
        assert np.sort(abs(image)).tolist() == [0] * (buckets - 1) + [1]
        places.append((int(abs(image).argmax()), float(image.sum())))
    assert len(set(places)) > 1


def test_a_vector_that_fits_is_kept_as_it_is():
    vector = np.arange(5, dtype="float32")
    sketch = CountSketch(5, buckets=5, seed=0)
    assert sketch(vector) is vector
    assert sketch.relative_error == 0


@pytest.mark.parametrize("shape", ["spread out", "in few coordinates"])
def test_the_error_of_a_distance_is_as_stated(shape):
    random = np.random.default_rng(0)
    gap = random.normal(size=5_000)
    if shape == "in few coordinates":
        gap *= random.random(5_000) < 0.01
    estimates = [
        np.linalg.norm(CountSketch(len(gap), 200, seed)(gap)) / np.linalg.norm(gap)
        for seed in range(300)
    ]
    stated = CountSketch(len(gap), 200, 0).relative_error
    assert stated == pytest.approx(1 / 20)
    assert np.mean(estimates) == pytest.approx(1, abs=4 * stated / np.sqrt(300))
    assert np.std(estimates) < 1.15 * stated
    if shape == "spread out":
        assert np.std(estimates) > 0.85 * stated


@pytest.mark.parametrize(("size", "buckets"), [(5, 5), (3_000, 100), (70_001, 1024)])
def test_a_sketch_is_the_same_on_the_device(size, buckets, monkeypatch):
    monkeypatch.setattr("keras_lcb.callbacks.sketch._DEVICE_CHUNK", 10_000)
    vector = np.random.default_rng(0).normal(size=size).astype("float32")
    sketch = CountSketch(size, buckets, [3, 4])
    there = sketch.on_device(keras.ops.convert_to_tensor(vector))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(there), sketch(vector), atol=2e-5)


def test_small_differences_of_double_precision_do_not_get_lost():
    """Kept in single precision, they would be rounding errors of the weights."""
    size, buckets = 4000, 512
    random = np.random.default_rng(0)
    start, way = random.normal(size=(2, size))
    sketch = CountSketch(size, buckets, 0)
    makes = [sketch] if BACKEND == "jax" else [sketch, _on_device(sketch, "float64")]
    for make in makes:  # JAX has no double precision by default
        moved = make(start + 1e-9 * way) - make(start)
        assert moved.dtype == "float64"
        np.testing.assert_allclose(moved, 1e-9 * sketch(way), atol=1e-12)


def _on_device(sketch, dtype):
    def make(vector):
        return keras.ops.convert_to_numpy(
            sketch.on_device(keras.ops.convert_to_tensor(vector, dtype))
        )

    return make


def test_places_far_into_a_vector_are_the_same_on_the_device():
    sketch = CountSketch(2**33, 1000, 0)
    for start in (0, 2**31 - 50, 2**32 - 50, 2**33 - 100):  # where integers of 32 bits overflow
        there = keras.ops.convert_to_numpy(sketch._places_on_device(start, 100))
        np.testing.assert_array_equal(there, sketch._places(start, 100))
        assert there.min() >= 0 and there.max() < 2000


def test_places_are_spread_evenly_and_independently():
    """By chi-squared tests of the places, and of pairs of neighbours' places."""
    for seed in range(5):
        places = CountSketch(10**6, 20, seed)._places(0, 400_000)
        for counts in (
            np.bincount(places, minlength=40),
            np.bincount(40 * places[:-1:2] + places[1::2], minlength=1600),
        ):
            expected = counts.sum() / len(counts)
            statistic = ((counts - expected) ** 2 / expected).sum()
            degrees = len(counts) - 1
            assert abs(statistic - degrees) < 5 * np.sqrt(2 * degrees)


def test_a_billion_parameters_are_refused_whole_and_fit_as_sketches():
    """By shape: no weights are made, since 96 layers of this size take 4.8 GB."""
    kernel = SimpleNamespace(shape=(3200, 4000), dtype="float32")
    rows = [SimpleNamespace(parameters=12_800_000, variables=[kernel])] * 96
    exact = Snapshots(rows, "exact", 1024, budget=2 * 2**30, seed=0, on_device=False)
    with pytest.raises(ValueError, match=r"50 exact records .* take 228.882 GiB, .*\(0.018 GiB"):
        exact.check_budget(50)
    sketched = Snapshots(rows, "sketch", 1024, budget=2 * 2**30, seed=0, on_device=False)
    sketched.check_budget(10_000)
    before, record = _resident(), np.zeros(1024, "float32")
    for _ in range(50):
        sketched.put_aside({kept(place): record for place in range(96)})
    assert _resident() - before < 60  # MiB: 50 records of 0.375 MiB, and what is on its way


def _resident():
    """Returns the resident memory of this process in MiB, on Linux."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_what_is_not_finite_shows():
    vector = np.ones(100, "float32")
    vector[7] = np.nan
    assert np.isnan(CountSketch(100, 10, 0)(vector)).sum() == 1
