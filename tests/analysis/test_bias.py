"""Verdicts on runs whose order is known, and on runs that have none."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from keras_lcb.analysis.bias import convergence_bias
from keras_lcb.analysis.convergence import area_under_distance, time_to_fraction

SHALLOW_FIRST = (9.0, 6.0, 4.0, 2.5, 1.0, 8.0)


def noisy(run_factory, count, rates=(8.0, 6.0, 4.0, 2.0, 1.0), spread=0.3):
    rng = np.random.default_rng(0)
    return [
        run_factory(rates=[*(np.asarray(rates) * np.exp(rng.normal(0, spread, len(rates)))), 3.0])
        for _ in range(count)
    ]


def test_one_run_has_a_verdict_and_proves_little(run_factory):
    bias = convergence_bias(run_factory(rates=SHALLOW_FIRST))
    assert bias.verdict == "shallower faster"
    assert bias.time_to_half.spearman == bias.area.spearman == 1.0
    assert bias.time_to_half.kendall == bias.area.kendall == 1.0
    assert bias.runs == 1 and bias.layers == tuple(f"layer_{n}" for n in range(5))
    assert bias.left_out == {"layer_5": "head"}
    assert str(bias).startswith("Shallower faster in this one run: deeper layers take longer")
    assert "One run proves little: layers in random order" in str(bias)
    assert "probability 0.017" in str(bias)  # 2 of 5! orders
    assert "Left out: layer_5 (head)." in str(bias)
    with pytest.raises(dataclasses.FrozenInstanceError):
        bias.verdict = "deeper faster"


def test_deeper_faster(run_factory):
    bias = convergence_bias(run_factory(rates=SHALLOW_FIRST[4::-1] + (1.0,)))
    assert bias.verdict == "deeper faster" and bias.area.kendall == -1.0


def test_depth_decides_and_not_the_order_in_the_file(run_factory):
    run = run_factory(rates=SHALLOW_FIRST)
    shuffled = run.isel(layer=[3, 0, 5, 4, 1, 2])
    assert convergence_bias(shuffled) == convergence_bias(run)


def test_correlations_against_scipy(run_factory):
    run = run_factory(rates=(3.0, 9.0, 2.0, 5.0, 1.0, 4.0, 7.0))
    bias = convergence_bias(run, roles=None)
    depth = np.arange(7)
    for found, values in (
        (bias.time_to_half, time_to_fraction(run)),
        (bias.area, area_under_distance(run)),
    ):
        np.testing.assert_allclose(found.spearman, scipy.stats.spearmanr(depth, values)[0])
        np.testing.assert_allclose(found.kendall, scipy.stats.kendalltau(depth, values)[0])
    assert bias.verdict == "no clear order" and "below 0.7 says little" in bias.reason


def test_seeds_have_an_interval(run_factory):
    runs = noisy(run_factory, 8)
    bias = convergence_bias(runs)
    assert bias.verdict == "shallower faster" and bias.runs == 8
    low, high = bias.time_to_half.spearman_interval
    assert 0 < low <= bias.time_to_half.spearman <= high <= 1
    assert f"[{low:+.2f}, {high:+.2f}]" in str(bias)
    assert "over 8 runs" in str(bias) and "proves little" not in str(bias)
    stacked = xr.concat(runs, xr.Variable("seed", np.arange(8)))
    assert convergence_bias(stacked) == bias
    assert convergence_bias([stacked.isel(seed=slice(3)), *runs[3:]]) == bias


def test_seeds_that_contradict_each_other(run_factory):
    runs = noisy(run_factory, 3) + noisy(run_factory, 3, rates=(1.0, 2.0, 4.0, 6.0, 8.0))
    bias = convergence_bias(runs)
    assert bias.verdict == "no clear order" and bias.reason == "the interval over runs includes 0"


def test_few_seeds_need_a_strong_correlation(run_factory):
    weak = [run_factory(rates=(5.0, 6.0, 2.0, 7.0, 1.0, 3.0)) for _ in range(5)]
    assert convergence_bias(weak).verdict == "shallower faster"
    few = convergence_bias(weak[:4])
    assert few.verdict == "no clear order" and "fewer than 5 runs" in few.reason


def test_no_order_is_seldom_taken_for_one(run_factory):
    """Layers whose speeds are drawn alike: few studies of 10 seeds may claim an order."""
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(25):
        runs = [run_factory(rates=rng.uniform(1, 8, 6), gradients=False) for _ in range(10)]
        claims += convergence_bias(runs, resamples=500).verdict != "no clear order"
    assert claims <= 5


def test_layers_that_never_came_half_the_way_are_slowest(run_factory):
    steps = np.arange(0, 101, 10)
    ends = np.array([0.0, 0.2, 0.4, 0.7, 0.9, 0.1])
    run = run_factory(1 - (1 - ends) * steps[:, None] / 100, steps=steps)
    bias = convergence_bias(run)
    assert bias.never_half == ("layer_3", "layer_4")
    expected = scipy.stats.spearmanr([0, 1, 2, 3, 4], [50, 62.5, 83.3, 999, 999])[0]
    np.testing.assert_allclose(bias.time_to_half.spearman, expected)
    assert "counted as slowest: layer_3, layer_4." in str(bias)


def test_layers_that_never_moved_are_left_out(run_factory):
    run = run_factory(rates=SHALLOW_FIRST)
    distance = run.distance.values.copy()
    distance[:, 1] = 0.0
    bias = convergence_bias(run_factory(distance))
    assert bias.left_out == {"layer_1": "never moved", "layer_5": "head"}
    assert len(bias.layers) == 4


def test_roles_choose_the_layers(run_factory):
    roles = ["embedding", "hidden", "normalization", "hidden", "hidden", "head"]
    run = run_factory(rates=SHALLOW_FIRST, roles=roles)
    assert convergence_bias(run).layers == ("layer_1", "layer_3", "layer_4")
    assert len(convergence_bias(run, roles=None).layers) == 6
    assert len(convergence_bias(run, roles=("hidden", "head")).layers) == 4
    assert len(convergence_bias(run.drop_vars("role")).layers) == 6


def test_two_layers_have_no_order(run_factory):
    bias = convergence_bias(run_factory(rates=(4.0, 2.0, 1.0)))
    assert bias.verdict == "no clear order"
    assert "an order needs 3 layers, and 2 can be compared" in str(bias)
    assert "Rank correlation" not in str(bias)


def test_layers_that_are_all_alike(run_factory):
    bias = convergence_bias(run_factory(rates=(2.0,) * 5))
    assert bias.verdict == "no clear order" and "cannot be told apart" in bias.reason


def test_what_cannot_be_compared(run_factory):
    with pytest.raises(ValueError, match="no run to analyse"):
        convergence_bias([])
    with pytest.raises(ValueError, match="different layers"):
        convergence_bias([run_factory(), run_factory(layers=["a", "b", "c"])])
    with pytest.raises(ValueError, match="holds no layers"):
        convergence_bias(run_factory()[["loss"]])
    with pytest.raises(ValueError, match="LayerConvergence"):
        convergence_bias(run_factory()[["loss", "gradient_norm"]])
