"""Rates, times and areas against hand calculations, SciPy and the definition itself."""

import numpy as np
import pytest
import scipy.integrate
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import keras_lcb as lcb
from keras_lcb.analysis.convergence import (
    area_under_distance,
    convergence_rate,
    normalized_distance,
    time_to_fraction,
)
from keras_lcb.analysis.gradients import rms_over_run

COORDS = {"step": [0, 10, 20, 40], "layer": ["a", "b"]}
HAND = xr.Dataset(
    {"distance": (("step", "layer"), [[2.0, 8.0], [1.0, 10.0], [0.5, 2.0], [0.0, 0.0]])}, COORDS
)


@st.composite
def runs(draw, ends_at_zero=True):
    """Runs whose layers begin away from their endpoint, and with the final one as reference."""
    shape = draw(st.tuples(st.integers(2, 8), st.integers(1, 4)))
    distance = draw(hnp.arrays(float, shape, elements=st.floats(1e-3, 1e3)))
    if ends_at_zero:
        distance[-1] = 0.0
    gaps = draw(st.lists(st.integers(1, 1000), min_size=shape[0] - 1, max_size=shape[0] - 1))
    return xr.Dataset(
        {"distance": (("step", "layer"), distance)},
        {"step": np.cumsum([0, *gaps]), "layer": [f"l{n}" for n in range(shape[1])]},
    )


@given(runs())
def test_endpoint_identity(run):
    """Over the whole run, the rate is 1/T for every layer, whatever happened in between."""
    total = int(run.step[-1])
    np.testing.assert_array_equal(convergence_rate(run, 0, total), 1 / total)


@given(runs(ends_at_zero=False), st.data())
def test_rates_of_adjoining_windows_add_up(run, data):
    total = int(run.step[-1])
    cuts = st.floats(0, total, exclude_min=True, exclude_max=True)
    middle = data.draw(cuts.filter(lambda t: 1e-6 < t / total < 1 - 1e-6))
    early = convergence_rate(run, 0, middle) * middle
    late = convergence_rate(run, middle, total) * (total - middle)
    whole = convergence_rate(run, 0, total) * total
    scale = float(normalized_distance(run).max())
    np.testing.assert_allclose(early + late, whole, atol=1e-9 * scale)


def test_the_definition_by_hand():
    rate = convergence_rate(HAND, 10, 20)
    # (‖θ(10) − θ*‖ − ‖θ(20) − θ*‖) / ‖θ(0) − θ*‖ / 10
    np.testing.assert_allclose(rate, [(1.0 - 0.5) / 2.0 / 10, (10.0 - 2.0) / 8.0 / 10])
    assert rate.attrs["units"] == "1/update" and rate.layer.values.tolist() == ["a", "b"]
    # between records: at 5, b is at 9; at 30, at 1
    np.testing.assert_allclose(convergence_rate(HAND, 5, 30)[1], (9.0 - 1.0) / 8.0 / 25)
    assert convergence_rate(HAND, 0, 10)[1] < 0


@pytest.mark.parametrize(
    "window, words",
    [
        ((-1, 10), "from update 0 to 40"),
        ((0, 41), "from update 0 to 40"),
        ((10, 10), "must be smaller than"),
        ((20, 10), "must be smaller than"),
        ((float("nan"), 10), "must be smaller than"),
        (("start", 10), "numbers of updates; received t1='start'"),
        ((0, None), "numbers of updates; .* t2=None"),
    ],
)
def test_windows_that_are_refused(window, words):
    with pytest.raises(ValueError, match=words):
        convergence_rate(HAND, *window)


def test_time_to_a_fraction_by_hand():
    # a: 1, 0.5, 0.25, 0; it touches 0.5 at 10 and is below it right after
    # b: 1, 1.25, 0.25, 0; from 1.25 to 0.25 within 10 updates
    np.testing.assert_allclose(time_to_fraction(HAND), [10.0, 17.5])
    np.testing.assert_allclose(time_to_fraction(HAND, 0.1), [20 + 20 * 0.6, 20 + 20 * 0.6])


@given(runs(ends_at_zero=False), st.floats(0.01, 0.99))
def test_time_to_a_fraction_against_a_fine_grid(run, fraction):
    times = time_to_fraction(run, fraction)
    curves = normalized_distance(run)
    grid = np.linspace(0, int(run.step[-1]), 2001)
    for layer in run.layer.values:
        fine = np.interp(grid, run.step, curves.sel(layer=layer))
        below = grid[fine < fraction]
        time = float(times.sel(layer=layer))
        if len(below):
            assert time <= below[0] + 1e-6
        if np.isnan(time):
            assert not len(below)
        else:
            np.testing.assert_allclose(np.interp(time, run.step, curves.sel(layer=layer)), fraction)


def test_fractions_that_are_refused():
    for fraction in (0, 1, -0.5, 50, float("nan"), "half", None):
        with pytest.raises(ValueError, match="between 0 and 1"):
            time_to_fraction(HAND, fraction)


@given(runs(ends_at_zero=False))
def test_area_against_scipy(run):
    curves = run.distance / run.distance[0]
    expected = scipy.integrate.trapezoid(curves.values, run.step.values, axis=0) / int(run.step[-1])
    np.testing.assert_allclose(area_under_distance(run), expected)


def test_a_layer_that_never_moved_has_no_value():
    run = HAND.copy(deep=True)
    run["distance"][:, 0] = 0.0
    for values in (convergence_rate(run, 0, 10), time_to_fraction(run), area_under_distance(run)):
        np.testing.assert_array_equal(values.isnull(), [True, False])


def test_records_of_another_callback_leave_gaps_that_do_not_matter():
    gaps = HAND.reindex(step=[0, 5, 10, 15, 20, 40, 60])
    for measure in (time_to_fraction, area_under_distance, lambda r: convergence_rate(r, 10, 35)):
        xr.testing.assert_identical(measure(gaps), measure(HAND))
    with pytest.raises(ValueError, match="from update 0 to 40"):
        convergence_rate(gaps, 0, 60)


def test_training_that_broke_down():
    """From the first non-finite update on there is nothing to measure."""
    broken = HAND.copy(deep=True)
    broken["distance"][2:] = np.nan
    broken["distance"][3:] = np.inf
    np.testing.assert_allclose(area_under_distance(broken), [0.75, 1.125])
    one_layer = HAND.copy(deep=True)
    one_layer["distance"][3:, 0] = np.nan
    np.testing.assert_array_equal(area_under_distance(one_layer).isnull(), [True, False])
    assert np.isnan(convergence_rate(one_layer, 10, 30)[0])


def test_the_normalized_distance_of_the_run_comes_first(run_factory):
    run = run_factory()
    xr.testing.assert_identical(normalized_distance(run), run.normalized_distance)
    np.testing.assert_allclose(
        normalized_distance(run.drop_vars("normalized_distance")), run.normalized_distance
    )


def test_stacked_seeds(run_factory):
    members = [run_factory(rates=rates) for rates in ((4, 2, 1), (1, 3, 5))]
    stacked = xr.concat(members, xr.Variable("seed", [7, 8]), join="outer")
    for measure in (time_to_fraction, area_under_distance, lambda r: convergence_rate(r, 3, 50)):
        together = measure(stacked)
        assert set(together.dims) == {"seed", "layer"}
        for seed, member in zip((7, 8), members, strict=True):
            np.testing.assert_array_equal(together.sel(seed=seed), measure(member))


def test_stacked_seeds_of_unequal_length(run_factory):
    """Each has its own first and last record, whether another callback recorded more or not."""
    long, short = run_factory(), run_factory(rates=(1, 3, 5), steps=range(0, 81, 8))
    late = run_factory(steps=range(4, 85, 8)).drop_vars("normalized_distance")
    members = [long.drop_vars("normalized_distance"), short.drop_vars("normalized_distance"), late]
    members[0]["distance"][-1, 1] = np.nan  # has no area
    stacked = xr.concat(members, xr.Variable("seed", [5, 6, 7]), join="outer")
    for measure in (time_to_fraction, area_under_distance, lambda r: convergence_rate(r, 8, 50)):
        together = measure(stacked.reindex(step=range(120)))
        for seed, member in zip((5, 6, 7), members, strict=True):
            np.testing.assert_array_equal(together.sel(seed=seed), measure(member))
    assert area_under_distance(stacked).isnull().sum() == 1
    ends = convergence_rate(stacked, 8, 90)  # after the last record of two of them
    np.testing.assert_array_equal(ends.isnull().all("layer"), [False, True, True])


def test_runs_without_distances(run_factory):
    run = run_factory()
    with pytest.raises(ValueError, match="LayerConvergence"):
        time_to_fraction(run[["loss"]])
    with pytest.raises(ValueError, match="no records yet"):
        time_to_fraction(run.isel(step=[]))
    assert area_under_distance(run.isel(step=[0])).isnull().all()


ANALYSES = {
    "time_to_fraction": lambda run: time_to_fraction(run).values,
    "area": lambda run: area_under_distance(run).values,
    "rate": lambda run: convergence_rate(run, 0, 30).values,
    "rms": lambda run: rms_over_run(run, "update_norm").values,
    "summary": lambda run: lcb.summary(run).area.values,
    "bias": lambda run: np.array([lcb.convergence_bias(run).ratio.value]),
    "findings": lambda run: np.array([each.name for each in lcb.diagnose(run)]),
}


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)
def test_records_may_come_in_any_order(run_factory, analysis):
    run = run_factory(rates=(8, 4, 2, 1))
    backwards = run.isel(step=slice(None, None, -1))
    np.testing.assert_array_equal(analysis(backwards), analysis(run))


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)
def test_runs_that_lack_a_dimension_or_hold_an_update_twice_are_refused(run_factory, analysis):
    run = run_factory()
    with pytest.raises(ValueError, match=r"no dimension `layer`.*isel\(layer=\[0\]\)"):
        analysis(run.isel(layer=0))
    with pytest.raises(ValueError, match="no dimension `step`"):
        analysis(run.isel(step=3))
    twice = xr.concat([run.isel(step=slice(0, 4)), run.isel(step=slice(3, None))], "step")
    with pytest.raises(ValueError, match="Update 30 has several records"):
        analysis(twice)
    assert len(analysis(twice.drop_duplicates("step"))) == len(analysis(run))
