"""Norms over a run against the updates that they summarise, and their correlation with speed."""

import itertools

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from keras_lcb.analysis.convergence import time_to_fraction
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_records_give_the_rms_of_all_updates(gaps, seed):
    """However the updates are cut into records."""
    each = np.random.default_rng(seed).uniform(0, 5, (sum(gaps), 2))
    steps = np.cumsum([0, *gaps])
    records = [np.sqrt((each[a:b] ** 2).mean(0)) for a, b in zip(steps, steps[1:], strict=False)]
    run = xr.Dataset(
        {"gradient_norm": (("step", "layer"), [[np.nan] * 2, *records])},
        {"step": steps, "layer": ["a", "b"]},
    )
    expected = np.sqrt((each**2).mean(0))
    np.testing.assert_allclose(rms_over_run(run, "gradient_norm"), expected)
    finer = run.reindex(step=np.arange(steps[-1] + 1))  # another callback's records in between
    np.testing.assert_allclose(rms_over_run(finer, "gradient_norm"), expected)


def test_updates_in_which_a_layer_was_frozen_do_not_count():
    """For each seed by itself; the seeds and another callback have records at other updates."""
    each = np.random.default_rng(0).uniform(0, 5, (2, 40, 2))
    each[:, 10:30, 1] = np.nan  # frozen
    members, expected = [], np.sqrt(np.nanmean(each**2, axis=1))
    for values, steps in zip(each, ([0, 10, 20, 30, 40], [0, 5, 10, 30, 35, 40]), strict=True):
        records = [np.sqrt((values[a:b] ** 2).mean(0)) for a, b in itertools.pairwise(steps)]
        run = xr.Dataset(
            {"gradient_norm": (("step", "layer"), [[np.nan] * 2, *records])},
            {"step": steps, "layer": ["a", "b"]},
        )
        members.append(run.reindex(step=sorted({*steps, 7, 33})))
    found = rms_over_run(xr.concat(members, "seed", join="outer"), "gradient_norm")
    np.testing.assert_allclose(found.transpose("seed", "layer"), expected)
    np.testing.assert_allclose(rms_over_run(members[0], "gradient_norm"), expected[0])


def test_a_layer_without_gradients_has_no_norm(run_factory):
    run = run_factory()
    run["gradient_norm"][:, 1] = np.nan
    np.testing.assert_array_equal(rms_over_run(run, "gradient_norm").isnull(), [False, True, False])
    assert rms_over_run(run.isel(step=[0]), "gradient_norm").isnull().all()
    with pytest.raises(ValueError, match="GradientNorms"):
        rms_over_run(run[["distance"]], "gradient_norm")


def test_correlation_of_norm_and_speed(run_factory):
    run = run_factory(rates=(3.0, 9.0, 2.0, 5.0, 1.0, 4.0))
    found = gradient_rate_correlation(run, roles=None)
    norms, speed = rms_over_run(run, "gradient_norm"), 1 / time_to_fraction(run)
    np.testing.assert_allclose(found.spearman, scipy.stats.spearmanr(norms, speed)[0])
    # the toy's norms grow with depth
    falling = run_factory(rates=(9.0, 7.0, 5.0, 3.0, 1.0))
    other = run_factory(rates=(9.0, 7.5, 5.0, 3.0, 1.0))
    assert gradient_rate_correlation([falling, other]).spearman_interval == (-1.0, -1.0)


def test_layers_are_compared_with_those_of_their_shape(run_factory):
    """In each shape, larger norms are faster; over both, the larger shape is slower."""
    run = run_factory(rates=(1.0, 2.0, 3.0, 10.0, 20.0, 30.0))
    norms = [10.0, 20.0, 30.0, 1.0, 2.0, 3.0]
    run["gradient_norm"][1:] = norms
    assert gradient_rate_correlation(run, roles=None).spearman == pytest.approx(
        scipy.stats.spearmanr(norms, [1, 2, 3, 10, 20, 30])[0]
    )
    run = run.assign_coords(shape=("layer", [*"aaabbb"]))
    found = gradient_rate_correlation(run, roles=None)
    assert (found.spearman, found.layers_of_runs) == (1.0, (5,))


def test_norms_of_compared_layers_that_were_all_frozen(run_factory):
    run = run_factory(rates=(4.0, 3.0, 2.0, 1.0), steps=(0, 10, 30, 40))
    frozen, norms = [np.nan] * 3, [[4.0, 1.0, 2.0], [1.0, 3.0, 2.0]]
    run["gradient_norm"][1:, :3] = [norms[0], frozen, norms[1]]  # the head is not frozen
    expected = np.sqrt(np.mean(np.square(norms), axis=0))
    found = gradient_rate_correlation(run).spearman
    assert found == pytest.approx(scipy.stats.spearmanr(expected, [3, 2, 1])[0])


def test_copies_and_runs_that_diverged_do_not_count(run_factory):
    run = run_factory(rates=(9.0, 7.0, 5.0, 3.0, 1.0))
    broken = run.copy(deep=True).assign_attrs(first_nonfinite_update=10)
    for name in ("distance", "normalized_distance"):
        broken[name][-1] = np.nan
    found = gradient_rate_correlation([run, run, broken], roles=None)
    assert found.spearman_of_runs == (-1.0,)


def test_a_layer_that_never_came_half_the_way_is_slowest(run_factory):
    steps = np.arange(0, 101, 10)
    ends = np.array([0.0, 0.2, 0.4, 0.9])
    run = run_factory(1 - (1 - ends) * steps[:, None] / 100, steps=steps)
    assert gradient_rate_correlation(run, roles=None).spearman == -1.0
