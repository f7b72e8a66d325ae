"""Spectra against direct sums, closed forms and laws."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_lcb import synthetic as targets
from keras_lcb.synthetic import spectra

VALUES = hnp.arrays(
    np.float64, st.integers(4, 40), elements=st.floats(-10, 10, allow_subnormal=False)
)


@given(values=VALUES)
@settings(max_examples=60, deadline=None)
def test_spectrum_is_the_direct_sum_and_gives_the_values_back(values):
    points = len(values)
    j = np.arange(points)
    frequencies = np.arange(points // 2 + 1)
    coefficients = spectra.spectrum(values, frequencies)
    for k in frequencies:
        weight = 1 if k == 0 or 2 * k == points else 2
        direct = weight / points * (values * np.exp(-2j * np.pi * k * j / points)).sum()
        assert coefficients[k] == pytest.approx(direct, abs=1e-9)
    waves = np.exp(2j * np.pi * np.outer(frequencies, j) / points)
    np.testing.assert_allclose((coefficients[:, None] * waves).sum(0).real, values, atol=1e-9)


def test_a_sine_has_a_coefficient_of_its_own_size():
    x = targets.default_target().grid(512)
    sizes = abs(spectra.spectrum(targets.default_target()(x), [1, 2, 3, 10, 30, 256]))
    np.testing.assert_allclose(sizes, [1, 0, 1 / 3, 0.1, 1 / 30, 0], atol=1e-12)
    assert spectra.spectrum(np.cos(4 * np.arange(8) * np.pi / 4), 4) == pytest.approx(1)


def test_columns_stacks_and_data_arrays_agree():
    x = targets.default_target().grid(64)
    stack = np.stack([np.sin(k * x[:, 0]) for k in (1, 2, 5)]).astype(np.float32)
    frequencies = [1, 2, 5]
    array = xr.DataArray(stack, dims=("layer", "x"), coords={"layer": list("abc"), "x": x[:, 0]})
    result = spectra.spectrum(stack, frequencies)
    assert result.dtype == np.complex128
    np.testing.assert_allclose(abs(result), np.eye(3), atol=1e-6)
    labelled = spectra.spectrum(array.transpose(), frequencies)
    assert labelled.dims == ("layer", "frequency")
    np.testing.assert_array_equal(labelled.values, result)
    np.testing.assert_array_equal(labelled.frequency, frequencies)
    np.testing.assert_array_equal(spectra.spectrum(stack[0][:, None], frequencies), result[0])
    np.testing.assert_allclose(spectra.frequency_centroid(array), frequencies, atol=1e-6)
    np.testing.assert_allclose(spectra.leakage(array, [1, 2]), [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("bad", [[5], [1.5], [-1]])
def test_what_the_grid_cannot_resolve_is_refused(bad):
    says = "Nyquist limit" if bad == [5] else "whole numbers, 0 or more"
    for function in (spectra.spectrum, spectra.leakage):
        with pytest.raises(ValueError, match=says):
            function(np.arange(8.0), bad)
    with pytest.raises(ValueError, match="wave numbers up to 3.5, their Nyquist limit; received 4"):
        spectra.spectrum(np.arange(7.0), [4])
    with pytest.raises(ValueError, match="two values or more"):
        spectra.spectrum([1.0], [0])


@given(
    parts=hnp.arrays(np.float64, (3, 16), elements=st.floats(-5, 5, allow_subnormal=False)),
    start=st.floats(-9, 9),
)
@settings(max_examples=50, deadline=None)
def test_shares_of_parts_that_add_up_to_the_target_add_up_to_one(parts, start):
    total = spectra.spectrum(parts.sum(0), [1, 2, 3])
    if abs(total).min() < 1e-3:
        return
    coefficients = spectra.spectrum(parts, [1, 2, 3])
    shares = spectra.frequency_share(coefficients, total)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-8)
    # Counting phases from elsewhere turns all coefficients of a frequency alike.
    turn = np.exp(1j * start * np.array([1, 2, 3]))
    np.testing.assert_allclose(
        spectra.frequency_share(coefficients * turn, total * turn), shares, atol=1e-8
    )


def test_share_and_error_have_their_closed_forms():
    x = targets.default_target().grid(64)[:, 0]
    target = spectra.spectrum(np.sin(3 * x), [3])
    phase = 0.4
    part = spectra.spectrum(2 * np.sin(3 * x + phase), [3])
    np.testing.assert_allclose(spectra.frequency_share(part, target), 2 * np.cos(phase))
    error = abs(2 * np.exp(1j * phase) - 1)
    np.testing.assert_allclose(spectra.frequency_error(part, target), error)
    assert spectra.frequency_error(0 * target, target) == pytest.approx(1)
    assert spectra.frequency_share(-part, target)[0] < 0


def test_shares_align_by_name():
    parts = xr.DataArray(
        [[1j, 2j], [3j, 0j]],
        dims=("frequency", "layer"),
        coords={"frequency": [1, 3], "layer": ["a", "b"]},
    )
    target = xr.DataArray([2j, 4j], dims="frequency", coords={"frequency": [1, 3]})
    shares = spectra.frequency_share(parts, target)
    assert shares.sel(frequency=3, layer="a") == 0.75
    assert shares.sel(frequency=1, layer="b") == 1


def test_relative_to_nothing_is_refused():
    x = targets.default_target().grid(64)
    values = targets.default_target()(x)
    with pytest.raises(ValueError, match=r"places \[1\]"):
        spectra.frequency_error([1, 1, 1], spectra.spectrum(values, [1, 2, 3]))
    with pytest.raises(ValueError, match=r"places \[0\]"):
        spectra.frequency_share([1], [0])


@given(values=VALUES)
@settings(max_examples=50, deadline=None)
def test_centroid_is_the_weighted_mean(values):
    points = len(values)
    energy = {k: abs(np.fft.fft(values)[k]) ** 2 for k in range(1, points) if 2 * k < points}
    total = sum(energy.values())
    if total < 1e-6:
        return
    expected = sum(k * e for k, e in energy.items()) / total
    assert spectra.frequency_centroid(values) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("points", "centroid"), [(128, 3.20), (512, 4.05), (4096, 5.32)])
def test_a_straight_line_has_a_centroid_that_is_all_leakage(points, centroid):
    """It starts over with a jump, so that |c_k| ∝ 1 / sin(πk/N); it has no period of its own."""
    line = np.linspace(-1, 1, points, endpoint=False)
    k = np.arange(1, points // 2)
    energy = 1 / np.sin(np.pi * k / points) ** 2
    found = spectra.frequency_centroid(line)
    assert found == pytest.approx((k * energy).sum() / energy.sum(), rel=1e-9)
    assert found == pytest.approx(centroid, abs=0.01)
    assert spectra.leakage(line, [1, 3]) == pytest.approx(0.32, abs=0.01)
    sine = np.sin(3 * np.pi * line)
    assert spectra.frequency_centroid(sine) < spectra.frequency_centroid(line)


def test_a_straight_line_carries_mostly_the_lowest_of_the_targets_frequencies():
    """By its shares it stands below sin 3x, where the energy centroid puts it above."""
    target = targets.SineSum([(1, 1.0, 0.0), (3, 1.0, 0.0), (10, 1.0, 0.0)])
    x = target.grid(512)[:, 0]
    parts = spectra.spectrum(np.stack([x, np.sin(3 * x), np.sin(10 * x)]), [1, 3, 10])
    share = spectra.frequency_share(parts, spectra.spectrum(target(target.grid(512)), [1, 3, 10]))
    found = spectra.share_centroid(share, np.zeros(3), [1, 3, 10])
    # x = 2 Σ (−1)^(k+1) sin(kx) / k: shares of 2, 2/3 and −1/5, the last against the target
    np.testing.assert_allclose(found, [(2 + 2) / (2 + 2 / 3), 3, 10], rtol=1e-4)


@given(
    share=hnp.arrays(np.float64, (3, 4), elements=st.floats(-2, 2)),
    error=hnp.arrays(np.float64, 4, elements=st.floats(0, 1)),
)
def test_share_centroid_is_the_weighted_mean_over_what_is_learned(share, error):
    frequencies = np.array([1, 3, 10, 30])
    expected = []
    for own in share:
        learned = [
            (k, max(s, 0)) for k, s, e in zip(frequencies, own, error, strict=True) if e < 0.5
        ]
        total = sum(s for _, s in learned)
        some = len(learned) >= 2 and total > 0
        expected.append(sum(k * s for k, s in learned) / total if some else np.nan)
    found = spectra.share_centroid(share, error, frequencies)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    coords = {"frequency": frequencies}
    labelled = xr.DataArray(share.T, dims=("frequency", "layer"), coords=coords)
    own_error = xr.DataArray(np.stack([error, error]), dims=("seed", "frequency"), coords=coords)
    stacked = spectra.share_centroid(labelled.expand_dims(seed=2), own_error)
    np.testing.assert_allclose(stacked.transpose("seed", "layer"), [expected, expected], rtol=1e-9)


def test_shares_without_wave_numbers_have_no_centroid():
    with pytest.raises(ValueError, match="`frequencies` are needed"):
        spectra.share_centroid([[0.5, 0.5]], [0.1, 0.1])
    assert np.isnan(spectra.share_centroid([[np.nan, 0.5]], [0.1, 0.1], [1, 3])).all()
    np.testing.assert_allclose(
        spectra.share_centroid([[0.5, 0.5]], [0.1, 0.3], [1, 3], 0.2), [np.nan]
    )


def test_a_constant_has_no_centroid():
    assert np.isnan(spectra.frequency_centroid(np.ones(16)))


def test_leakage_shows_a_grid_that_does_not_end_with_the_period():
    target = targets.default_target()
    periodic = target(target.grid(256))
    closed = target(np.linspace(-np.pi, np.pi, 256)[:, None])
    assert abs(spectra.leakage(periodic, target.frequencies)) < 1e-12
    assert spectra.leakage(closed, target.frequencies) > 1e-5
    assert spectra.leakage(targets.Chirp()(target.grid(256)), [1]) > 0.5


@given(values=VALUES)
@settings(max_examples=50, deadline=None)
def test_leakage_is_the_energy_elsewhere(values):
    values = values - values.mean()
    points = len(values)
    if (values**2).mean() < 1e-6:
        return
    energy = abs(np.fft.fft(values)) ** 2
    kept = energy[1] + energy[points - 1]
    expected = 1 - kept / energy[1:].sum()
    assert spectra.leakage(values, [0, 1, 1]) == pytest.approx(expected, abs=1e-9)


def test_time_to_learn_is_the_first_crossing():
    steps = np.array([0, 100, 200, 400])
    error = xr.DataArray(
        [
            [1.0, 1.0, 0.2, np.nan, 1.0],
            [0.6, 0.9, 0.3, 0.8, np.inf],
            [0.2, 0.4, 0.9, np.nan, 0.7],
            [0.1, 0.6, 0.9, 0.2, 0.6],
        ],
        dims=("step", "frequency"),
        coords={"step": steps, "frequency": [1, 2, 3, 4, 5]},
    )
    times = spectra.time_to_learn(error)
    crossing_2 = np.interp(-0.5, [-0.9, -0.4], [100, 200])
    crossing_4 = np.interp(-0.5, [-0.8, -0.2], [100, 400])
    np.testing.assert_allclose(times, [125, crossing_2, 0, crossing_4, np.nan])
    np.testing.assert_allclose(spectra.time_to_learn(error, 0.65).values[-1], 300)
    assert times.dims == ("frequency",) and times.attrs["units"] == "updates"
    assert spectra.time_to_learn(error.expand_dims(seed=[0, 1])).dims == ("seed", "frequency")
    for same in (error.isel(step=[2, 0, 3, 1]), error.chunk()):
        np.testing.assert_array_equal(spectra.time_to_learn(same), times)
    with pytest.raises(ValueError, match="pass `run.frequency_error`"):
        spectra.time_to_learn(error.to_dataset(name="frequency_error"))
    with pytest.raises(ValueError, match="'step'"):
        spectra.time_to_learn(error.isel(step=0))
    with pytest.raises(ValueError, match="positive"):
        spectra.time_to_learn(error, 0.0)


@pytest.mark.parametrize("points", [63, 64, 100, 500])
@pytest.mark.parametrize("value", [0.1, -3e7, 0.0])
def test_a_constant_has_no_frequency_on_any_grid(points, value):
    constant = np.full(points, value)
    assert np.isnan(spectra.frequency_centroid(constant))
    assert np.isnan(spectra.leakage(constant, [3]))
    found = spectra.spectrum(constant, [0, 1, 3])
    np.testing.assert_allclose(found, [value, 0, 0], rtol=1e-15, atol=0)
    rows = np.stack([constant, value + np.sin(2 * np.pi * 3 * np.arange(points) / points)])
    found = spectra.frequency_centroid(rows)
    assert np.isnan(found[0]) and abs(found[1] - 3) < 1e-6
