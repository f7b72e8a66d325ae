"""What is measured of a setting's runs follows from the numbers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from keras_lcb.analysis import convergence_bias
from keras_lcb.experiments import readings
from keras_lcb.experiments.engines.midway import DISTANCE_TO_MIDWAY

STEPS = np.arange(0, 201, 5)  # 2T = 200
LAYERS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"]


def runs_of(rates, seeds=6, **variables):
    """Layers that approach their ends at given rates, which differ a little from seed to seed."""
    found = []
    for seed in range(seeds):
        noise = np.random.default_rng(seed).lognormal(0, 0.05, len(rates))
        distance = np.exp(-np.outer(STEPS, np.array(rates) * noise))
        over = ("step", "layer")
        data = {
            "distance": (over, 3.0 * distance),
            "normalized_distance": (over, distance),
            "way_from_start": (over, 1 - distance),
            "gradient_norm": (over, np.tile(np.array(rates) * 7, (len(STEPS), 1))),
            "loss": ("step", 1.0 / (1 + STEPS)),
        }
        coords = {
            "step": STEPS,
            "layer": LAYERS[: len(rates)],
            "depth": ("layer", range(len(rates))),
            "role": ("layer", ["hidden"] * len(rates)),
            "shape": ("layer", ["(3, 3)"] * len(rates)),
            "parameters": ("layer", [9] * len(rates)),
        }
        run = xr.Dataset(data, coords).assign(variables)
        found.append(run.expand_dims(seed=[seed]))
    return xr.concat(found, "seed", data_vars="all", coords="minimal")


def test_the_ratio_is_that_of_the_times():
    found = readings.time_to_half(runs_of([0.08, 0.04, 0.02, 0.01]))
    assert found.sign == 1 and found.scale.shown(found.effect.mean) == pytest.approx(8, rel=0.1)
    assert found.beside["way"].values == pytest.approx(found.effect.values)
    assert found.loss.values == (1 / 101,) * 6
    reverse = readings.time_to_half(runs_of([0.05, 0.1, 0.2, 0.4]))
    assert reverse.sign == -1 and reverse.agreement["way"] == "+"


def test_what_is_not_half_the_way_by_the_middle_counts_as_if_it_were_then():
    """The last layer takes 139 updates, of which 100 are looked at."""
    found = readings.time_to_half(runs_of([0.08, 0.04, 0.02, 0.005]))
    times = np.log([np.log(2) / 0.08, np.log(2) / 0.04, np.log(2) / 0.02, 100])
    slope = scipy.stats.linregress(range(4), times).slope
    assert found.effect.mean == pytest.approx(3 * slope, abs=0.1)
    assert found.sign == 1 and not found.equivalent


def test_where_no_layer_is_half_the_way_by_the_middle_there_is_no_effect():
    found = readings.time_to_half(runs_of([0.005, 0.004, 0.003, 0.002]))
    assert found.effect.count == 0 and np.isnan(found.effect.mean)
    assert found.sign == 0 and not found.equivalent


def test_an_order_needs_an_interval_that_leaves_none_out():
    """By ranks alone it would be one: the ratio of one seed is far from those of the others."""
    most = runs_of([0.010, 0.0088, 0.0077, 0.005], seeds=7)
    other = runs_of([0.005, 0.012, 0.018, 0.028], seeds=8).isel(seed=[7])
    runs = xr.concat([most, other], "seed")
    found = readings.time_to_half(runs)
    assert convergence_bias(runs, 100).verdict == "shallower faster"
    assert found.effect.interval()[0] < 0 < found.effect.mean and found.sign == 0


def test_a_verdict_does_not_oppose_its_effect():
    """By ranks, a first layer that is late is one of eight; its time weighs more than theirs."""
    rates = [0.005, *(0.7 / np.arange(1, 8))]
    found = readings.time_to_half(runs_of(rates))
    assert convergence_bias(runs_of(rates), 100).verdict == "shallower faster"
    assert found.effect.interval()[1] < 0 and found.sign == 0 and found.p_order == 1.0


def test_the_endpoint_midway_is_looked_at_too():
    midway = np.where(STEPS <= 100, np.clip(1 - STEPS / 100, 0, 1), np.nan)
    slower = xr.DataArray(
        np.stack([midway**4, midway**3, midway**2, midway], 1),
        dims=("step", "layer"),
    )
    found = readings.time_to_half(runs_of([0.1] * 4, **{DISTANCE_TO_MIDWAY: slower}))
    expected = np.log(1 - 0.5 ** (1 / np.array([4, 3, 2, 1])))
    slope = scipy.stats.linregress(range(4), expected).slope
    assert found.beside["end at T"].mean == pytest.approx(3 * slope, rel=0.02)


def test_runs_that_diverged_are_left_out():
    runs = runs_of([0.4, 0.2, 0.1, 0.05])
    runs["distance"][1, -1] = np.inf
    runs["normalized_distance"][1] = np.nan
    runs.attrs["first_nonfinite_update"] = 10
    found = readings.time_to_half(runs)
    assert found.seeds == (0, 2, 3, 4, 5) and found.effect.count == 5
    all_gone = runs.isel(seed=[1])
    assert readings.time_to_half(all_gone).lacking == "every run diverged"
    assert readings.gradient_and_speed(all_gone).lacking == "every run diverged"


def test_blocks_are_the_norms_of_their_layers_together():
    runs = runs_of([0.4, 0.2, 0.1, 0.05]).assign_coords(
        layer=["conv_0", "norm_0", "conv_1", "head"],
        role=("layer", ["hidden", "normalization", "hidden", "head"]),
    )
    grouped = readings.by_block(runs)
    assert grouped.layer.values.tolist() == ["conv_0", "conv_1", "head"]
    assert grouped.role.values.tolist() == ["hidden", "hidden", "head"]
    both = np.hypot(runs.distance.isel(layer=0), runs.distance.isel(layer=1))
    np.testing.assert_allclose(grouped.distance.sel(layer="conv_0"), both)


@pytest.mark.parametrize(("order", "sign"), [([1, 2, 3, 4], -1), ([4, 3, 2, 1], 1)])
def test_gradients_go_with_speed_or_against_it(order, sign):
    runs = runs_of([0.4, 0.2, 0.1, 0.05])
    runs["gradient_norm"] = runs["gradient_norm"] * 0 + np.array(order)
    found = readings.gradient_and_speed(runs)
    assert found.sign == sign and found.effect.mean == pytest.approx(sign)
    assert set(found.beside) == {"all shapes", "early", "middle", "late"}
    assert found.beside["early"].mean == pytest.approx(sign)


def test_norms_are_per_parameter_where_sizes_differ():
    runs = runs_of([0.4, 0.2, 0.1, 0.05]).assign_coords(
        shape=("layer", list("abcd")), parameters=("layer", [1, 100, 10_000, 1_000_000])
    )
    runs["gradient_norm"] = runs["gradient_norm"] * 0 + np.array([1, 2, 3, 4])
    assert readings.gradient_and_speed(runs).effect.mean == pytest.approx(1.0)


def test_the_cost_of_freezing_is_ranked():
    costs = np.array([[0.5, 0.1, 0.2, 0.3]] * 5 + [[0.5, 0.3, 0.2, 0.1]])
    runs = xr.Dataset(
        {
            "loss": (("seed", "step"), [[0.05]] * 6),
            "loss_if_frozen": (("seed", "layer"), costs),
        },
        {
            "seed": range(6),
            "layer": LAYERS[:4],
            "role": ("layer", ["hidden"] * 4),
            "shape": ("layer", ["a", "b", "b", "b"]),
        },
    )
    assert readings.cost_of_freezing(runs).effect.values == (1, 1, 1, 1, 1, -1)
