"""Verdicts on runs whose order is known, and on runs that have none."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from keras_lcb.analysis.bias import convergence_bias
from keras_lcb.analysis.convergence import area_under_distance, time_to_fraction

SHALLOW_FIRST = (9.0, 6.0, 4.0, 2.5, 1.0)
STEPS = np.arange(0, 101, 2)


@pytest.fixture
def seeds(run_factory):
    """Runs of several seeds: layers fall at these rates, give or take, and a head beside them."""

    def made(count, rates=SHALLOW_FIRST, spread=0.3, **options):
        rng = np.random.default_rng(0)
        options = {"steps": STEPS, "gradients": False, **options}
        return [
            run_factory(
                rates=[*(np.asarray(rates) * np.exp(rng.normal(0, spread, len(rates)))), 3.0],
                **options,
            )
            for _ in range(count)
        ]

    return made


def with_shapes(runs, shapes):
    return [run.assign_coords(shape=("layer", list(shapes))) for run in runs]


def times_of(runs, layers):
    return np.array([time_to_fraction(run).sel(layer=list(layers)).values for run in runs])


def trend(times):
    """The ratio along a line through log(time), by SciPy's regression."""
    place = np.arange(times.shape[1])
    slopes = [scipy.stats.linregress(place, np.log(own)).slope for own in times]
    return np.array(slopes) * place[-1]


def test_one_run_has_a_size_and_no_verdict(run_factory):
    run = run_factory(rates=(*SHALLOW_FIRST, 8.0))
    bias = convergence_bias(run)
    assert bias.verdict == "inconclusive" and bias.reason == "a verdict takes at least 5 seeds"
    assert bias.time_to_half.spearman == bias.area.spearman == 1.0
    np.testing.assert_allclose(bias.ratio.value, np.exp(trend(times_of([run], bias.layers))))
    assert bias.runs == 1 and bias.layers == tuple(f"layer_{n}" for n in range(5))
    assert bias.left_out == {"layer_5": "head"}
    said = str(bias)
    assert said.startswith("Inconclusive in this one run: a verdict takes at least 5 seeds. The ")
    assert f"takes {bias.ratio.value:.2f} times as long as the first to come half" in said
    assert "One run proves little: layers in random order" in said
    assert "probability 0.017" in said  # 2 of 5! orders
    assert said.endswith("Left out: layer_5 (head).")
    with pytest.raises(dataclasses.FrozenInstanceError):
        bias.p_order = 0.0


@pytest.mark.parametrize("count", [2, 3, 4])
def test_fewer_than_five_seeds_are_inconclusive_however_clear(seeds, count):
    bias = convergence_bias(seeds(count, spread=0.01))
    assert bias.p_order < 0.01 and bias.ratio.interval()[0] > 2
    assert bias.verdict == "inconclusive" and "at least 5 seeds" in bias.reason
    assert f"Inconclusive over {count} runs" in str(bias)


def test_shallower_faster(seeds):
    runs = seeds(8)
    bias = convergence_bias(runs)
    assert bias.verdict == "shallower faster" and bias.runs == 8
    logs = trend(times_of(runs, bias.layers))
    result = scipy.stats.ttest_1samp(logs, 0)
    np.testing.assert_allclose(bias.ratio.of_runs, np.exp(logs))
    np.testing.assert_allclose(bias.ratio.interval(), np.exp(result.confidence_interval()))
    assert bias.p_order <= 0.05 < bias.p_equivalent
    said = str(bias)
    assert said.startswith(f"Shallower faster over 8 runs: the last layer takes {bias.ratio} times")
    assert "95 % t intervals over runs" in said and "proves little" not in said
    stacked = xr.concat(runs, xr.Variable("seed", np.arange(8)))
    assert convergence_bias(stacked) == bias
    assert convergence_bias([stacked.isel(seed=slice(3)), *runs[3:]]) == bias


def test_deeper_faster(seeds):
    bias = convergence_bias(seeds(5, rates=SHALLOW_FIRST[::-1]))
    assert bias.verdict == "deeper faster" and bias.ratio.value < 0.5
    assert bias.time_to_half.spearman < -0.8 and bias.area.spearman < -0.8


def test_equal_speeds_with_little_noise_are_equivalent(seeds):
    runs = seeds(5, rates=(3.0,) * 5, spread=0.02)
    bias = convergence_bias(runs)
    assert bias.verdict == "equivalent" and bias.p_equivalent <= 0.05
    low, high = bias.ratio.interval(0.9)
    assert 0.9 < low < high < 1.11
    assert f"takes {bias.ratio} times as long" in bias.reason and "0.9 to 1.11" in bias.reason
    wider = convergence_bias(runs, bounds=(0.999, 1.001))
    assert wider.verdict == "inconclusive" and "nor sure to be within 0.999" in wider.reason
    for bounds in ((1.0, 1.1), (0.9, 0.95), (-1, 2), (0.9,), (0.9, 1, 1.1), "a", None, 0.9):
        with pytest.raises(ValueError, match="a number above 1"):
            convergence_bias(runs, bounds=bounds)


def test_equal_speeds_with_much_noise_are_inconclusive(seeds):
    bias = convergence_bias(seeds(5, rates=(3.0,) * 5, spread=0.5))
    assert bias.verdict == "inconclusive" and "not clearly in one direction" in bias.reason


def test_a_reliable_difference_that_is_small_is_equivalent(seeds):
    bias = convergence_bias(seeds(8, rates=np.geomspace(3.1, 3, 5), spread=0.001))
    assert bias.verdict == "equivalent" and bias.p_order < 0.001
    assert bias.time_to_half.spearman == 1.0
    assert bias.reason.endswith("a reliable difference, but a small one")


def test_layers_that_differ_but_not_with_depth_are_said_to(seeds):
    bias = convergence_bias(seeds(6, rates=(2.0, 4.0, 8.0, 4.0, 2.0), spread=0.01))
    assert bias.verdict == "equivalent"
    assert "The layers still differ, though not with depth: layer_" in str(bias)
    typical = scipy.stats.gmean(times_of(seeds(6, (2.0, 4.0, 8.0, 4.0, 2.0), 0.01), bias.layers))
    np.testing.assert_allclose(bias.times, typical)


def test_seeds_that_contradict_each_other(seeds):
    bias = convergence_bias(seeds(3) + seeds(3, rates=SHALLOW_FIRST[::-1]))
    assert bias.verdict == "inconclusive" and "not clearly in one direction" in bias.reason


def test_one_layer_that_is_far_off_makes_no_order(seeds):
    """The first layer is by far the fastest, and the others come in from deep to shallow."""
    bias = convergence_bias(seeds(6, rates=(60.0, 2.0, 2.2, 2.4, 2.6), spread=0.01))
    assert bias.ratio.interval()[0] > 1.11 and bias.time_to_half.spearman < 0.1
    assert bias.verdict == "inconclusive"


def test_measures_of_one_curve_that_disagree(run_factory):
    """Deep layers take longer to half the way, and stay less far away."""
    steps = np.array([0, 10, 20, 30, 100])
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(6):
        half = np.array([10.0, 12.0, 14.0, 16.0]) + rng.normal(0, 0.1, 4)
        at = np.interp(steps[:, None], [0, 1e9], [1, 1]) * np.ones((5, 4))
        at[1] = 1 - 0.5 * 10 / half
        at[2] = 1 - 0.5 * np.minimum(20 / half, 1.01)
        at[3] = np.array([0.49, 0.45, 0.30, 0.10])
        at[4] = 0
        runs.append(run_factory(at, steps=steps, roles=["hidden"] * 4))
    bias = convergence_bias(runs)
    assert bias.ratio.value > 1.11 and bias.p_order <= 0.05 and bias.area.spearman < 0
    assert bias.verdict == "inconclusive"
    assert bias.reason.endswith("the ranks or the areas have the other direction")


def test_depth_decides_and_not_the_order_in_the_file(seeds):
    runs = with_shapes(seeds(5), "abbbbc")
    shuffled = [run.isel(layer=[3, 0, 5, 4, 1, 2]) for run in runs]
    assert convergence_bias(shuffled) == convergence_bias(runs)


def test_correlations_against_scipy(run_factory):
    run = run_factory(rates=(3.0, 9.0, 2.0, 5.0, 1.0, 4.0, 7.0))
    bias = convergence_bias(run, roles=None)
    depth = np.arange(7)
    for found, values in (
        (bias.time_to_half, time_to_fraction(run)),
        (bias.area, area_under_distance(run)),
    ):
        np.testing.assert_allclose(found.spearman, scipy.stats.spearmanr(depth, values)[0])


def test_no_order_is_seldom_taken_for_one(run_factory):
    """Layers whose speeds are drawn alike, from distances on; see also the calibration."""
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(40):
        rates = rng.uniform(1, 8, (5, 5))
        runs = [run_factory(rates=own, roles=["hidden"] * 5, gradients=False) for own in rates]
        claims += convergence_bias(runs).verdict in ("shallower faster", "deeper faster")
    assert claims <= 5  # more come up in 1 of 70 such tests, if 5 % of studies err


def not_all_the_way(run_factory, ends, count):
    """Runs in which layers approach an endpoint beyond the record at constant speeds."""
    rng = np.random.default_rng(0)
    left = np.clip(ends + rng.normal(0, 0.01, (count, len(ends))), 0, 1)
    steps = np.arange(0, 101, 10)
    return [run_factory(1 - (1 - own) * steps[:, None] / 100, steps=steps) for own in left]


def test_layers_that_never_came_half_the_way_are_slowest(run_factory):
    runs = not_all_the_way(run_factory, np.array([0.0, 0.2, 0.4, 0.7, 0.9, 0.1]), 6)
    bias = convergence_bias(runs)
    assert bias.never_half == ("layer_3", "layer_4") and not bias.ratio.defined
    expected = scipy.stats.spearmanr([0, 1, 2, 3, 4], [50, 62.5, 83.3, 999, 999])[0]
    np.testing.assert_allclose(bias.time_to_half.spearman, expected)
    assert bias.verdict == "shallower faster"
    assert "rank correlation" in bias.reason and "ratio of times is not defined" in bias.reason
    assert "counted as slowest: layer_3, layer_4." in str(bias)
    none = convergence_bias(not_all_the_way(run_factory, np.array([0.9] * 5 + [0.1]), 6))
    assert none.verdict == "inconclusive" and "cannot be told apart" in none.reason


def test_until_looks_at_the_beginning_only(run_factory):
    """Until update 60 deep layers are slower; what the late records say has no effect."""
    steps = np.arange(0, 121, 20)
    early = np.array([[1, 1, 1, 1], [0.5, 0.7, 0.8, 0.9], [0.3, 0.5, 0.6, 0.7]])
    late = np.array([[0.2, 0.3, 0.4, 0.45], [0.2, 0.2, 0.2, 0.2], [0.1] * 4, [0.0] * 4])
    rng = np.random.default_rng(0)
    runs, others = [], []
    for _ in range(6):
        own = early * [[1.0], *np.exp(rng.normal(0, 0.01, (2, 1)))]
        runs.append(run_factory(np.r_[own, late], steps=steps, roles=["hidden"] * 4))
        others.append(run_factory(np.r_[own, [late[0], *late[:0:-1]]], steps=steps))
    bias = convergence_bias(runs, until=60)
    assert bias.verdict == "shallower faster" and bias.never_half == ()
    assert "Only updates up to 60 are compared; the endpoint is the final one." in str(bias)
    others = [run.assign_coords(role=("layer", ["hidden"] * 4)) for run in others]
    assert convergence_bias(others, 60) == bias
    cut = [run.sel(step=slice(60)) for run in runs]
    np.testing.assert_allclose(bias.ratio.of_runs, convergence_bias(cut).ratio.of_runs)
    # At update 50, between two records, the last layers are more than half their way away.
    assert convergence_bias(runs, until=50).never_half == ("layer_2", "layer_3")
    for outside in (0, 120, 500, float("nan")):
        with pytest.raises(ValueError, match="between the first and the last record"):
            convergence_bias(runs, until=outside)
    with pytest.raises(ValueError, match="`until` must be a number of updates.* received 'half'"):
        convergence_bias(runs, until="half")


def test_hidden_layers_of_equal_shape_are_compared(seeds):
    shapes = ("3×3×1×8", "3×3×8×8", "3×3×8×8", "3×3×8×8", "3×3×8×8", "8×2")
    runs = with_shapes(seeds(6), shapes)
    bias = convergence_bias(runs)
    assert bias.layers == ("layer_1", "layer_2", "layer_3", "layer_4")
    assert bias.left_out == {"layer_0": "another shape", "layer_5": "head"}
    assert "4 layers of equal shape" in str(bias)
    logs = trend(times_of(runs, bias.layers))
    np.testing.assert_allclose(bias.ratio.of_runs, np.exp(logs))
    whole = convergence_bias(seeds(6))
    assert bias.beside == {"over layers of all shapes": whole.ratio}
    assert f"The same ratio over layers of all shapes {whole.ratio}." in str(bias)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (None, "5 layers of all shapes, since the run does not say the shapes"),
        (("a", "a", "b", "b", "c", "d"), "5 layers of all shapes, since no 3 have kernels of"),
        (("", "", "", "b", "b", ""), "5 layers of all shapes, since no 3 have kernels of"),
        (("a",) * 5 + ("b",), "5 layers of equal shape"),
    ],
)
def test_without_three_of_equal_shape_all_are_compared(seeds, shapes, said):
    runs = seeds(5) if shapes is None else with_shapes(seeds(5), shapes)
    bias = convergence_bias(runs)
    assert len(bias.layers) == 5 and bias.beside == {}
    assert said in str(bias)


def test_layers_are_compared_within_each_shape(seeds):
    """Of each shape the deeper layer is slower, but the deeper shape is faster as a whole."""
    runs = with_shapes(seeds(5, rates=[2.8, 1.7, 1.1, 9.0, 6.0, 5.0, 3.5]), [*"aaabbcbh"])
    bias = convergence_bias(runs)
    assert bias.layers == tuple(f"layer_{n}" for n in (0, 1, 2, 3, 4, 6))
    assert bias.left_out == {"layer_5": "another shape", "layer_7": "head"}
    assert "6 layers of 2 shapes, each compared with those of its own shape." in str(bias)
    assert bias.verdict == "shallower faster"
    assert bias.beside["over layers of all shapes"].value < 1


def test_layers_of_a_block_count_as_equally_deep(seeds):
    runs = []
    for run in with_shapes(seeds(5, rates=[4.0, 8.0, 3.9, 7.8, 3.8, 7.6]), [*"aaaaaah"]):
        names = [f"block{n}_{part}" for n in range(3) for part in ("query", "value")]
        runs.append(run.assign_coords(layer=[*names, "head"]))
    bias = convergence_bias(runs)
    assert "6 layers of equal shape in 3 blocks." in str(bias)
    logs = np.log(times_of(runs, bias.layers)).reshape(5, 3, 2).mean(axis=2)
    np.testing.assert_allclose(np.log(bias.ratio.of_runs), logs[:, 2] - logs[:, 0])


def test_groups_of_layers_are_said_to_be_groups(seeds):
    plain = seeds(5)
    assert "groups of layers" not in str(convergence_bias(plain))
    kinds = ["Conv2D+BatchNormalization"] * 5 + ["Dense"]
    for grouped in (
        [run.assign_coords(kind=("layer", kinds)) for run in plain],
        [run.assign_attrs(settings='{"LayerConvergence": {"layers": "blocks"}}') for run in plain],
    ):
        bias = convergence_bias(grouped)
        assert "Groups of layers are compared" in str(bias)
        assert bias.ratio == convergence_bias(plain).ratio


def test_other_measures_stand_beside_and_their_disagreement_is_said(seeds):
    runs = []
    for run in seeds(6):
        left = run.normalized_distance
        runs.append(
            run.assign(
                angle_to_end=0.3 * left,
                way_from_start=1 - left.isel(layer=[4, 3, 2, 1, 0, 5]).assign_coords(left.coords),
                similarity=0.2 + 0.8 * (1 - left),
            )
        )
    bias = convergence_bias(runs)
    by_angle, by_way, by_similarity = bias.beside.values()
    assert list(bias.beside) == [
        "by the angle to the end",
        "by the way from the start",
        "by the similarity to the final activations",
    ]
    np.testing.assert_allclose(by_angle.of_runs, bias.ratio.of_runs)
    np.testing.assert_allclose(by_similarity.of_runs, bias.ratio.of_runs)
    np.testing.assert_allclose(by_way.of_runs, 1 / np.array(bias.ratio.of_runs))
    assert bias.verdict == "shallower faster"
    said = str(bias)
    assert f"The same ratio by the angle to the end {by_angle}; by the way" in said
    assert "measures disagree: the order is the reverse by the way from the start." in said


def test_a_measure_that_some_run_lacks_does_not_stand_beside(seeds):
    runs = [run.assign(similarity=1 - run.normalized_distance) for run in seeds(5)]
    assert len(convergence_bias(runs).beside) == 1
    assert convergence_bias([runs[0].drop_vars("similarity"), *runs[1:]]).beside == {}
    empty = runs[0].assign(similarity=np.nan * runs[0].similarity)
    assert convergence_bias([empty, *runs[1:]], until=50).beside == {}


def test_runs_that_diverged_do_not_count(seeds):
    runs = seeds(6)
    bad = runs[0].copy(deep=True)
    bad["distance"][:] = bad["normalized_distance"][:] = np.nan
    bad.attrs["first_nonfinite_update"] = 40
    bias = convergence_bias([bad, *runs[1:]])
    assert bias.runs == 5 and bias.verdict == "shallower faster"
    assert bias.left_out == {"layer_5": "head"}
    assert "Diverged and not counted: 1 of 6 runs." in str(bias)
    np.testing.assert_allclose(bias.ratio.of_runs, convergence_bias(runs[1:]).ratio.of_runs)
    four = convergence_bias([bad, *runs[1:5]])
    assert four.verdict == "inconclusive" and "5 seeds" in four.reason
    none = convergence_bias([bad, bad])
    assert none.verdict == "inconclusive" and none.reason == "every run diverged"
    assert none.runs == 0 and "Inconclusive over 0 runs: every run diverged." in str(none)
    assert none.left_out["layer_0"] == "not finite"


def test_copies_of_a_run_do_not_count(seeds):
    runs = seeds(3)
    bias = convergence_bias([*runs, *runs])
    assert bias.runs == 3 and bias.verdict == "inconclusive"
    assert "3 of 6 runs, whose distances are the same as another run's" in str(bias)


def test_times_before_the_first_record_are_blurred(seeds):
    assert "Record more often" not in str(convergence_bias(seeds(5, spread=0.01)))
    assert "Record more often" in str(convergence_bias(seeds(5, steps=np.arange(0, 101, 20))))


def test_layers_that_never_moved_are_left_out(run_factory):
    run = run_factory(rates=(*SHALLOW_FIRST, 8.0))
    distance = run.distance.values.copy()
    distance[:, 1] = 0.0
    bias = convergence_bias(run_factory(distance))
    assert bias.left_out == {"layer_1": "never moved", "layer_5": "head"}
    assert len(bias.layers) == 4
    some = convergence_bias([run, run_factory(distance)])
    assert some.left_out == bias.left_out and some.runs == 2


def test_roles_choose_the_layers(run_factory):
    roles = ["embedding", "hidden", "normalization", "hidden", "hidden", "head"]
    run = run_factory(rates=(*SHALLOW_FIRST, 8.0), roles=roles)
    assert convergence_bias(run).layers == ("layer_1", "layer_3", "layer_4")
    assert len(convergence_bias(run, roles=None).layers) == 6
    assert len(convergence_bias(run, roles=("hidden", "head")).layers) == 4
    assert len(convergence_bias(run.drop_vars("role")).layers) == 6


def test_many_layers_that_are_left_out_are_told_in_short(run_factory):
    roles = ["hidden", "normalization"] * 5 + ["head"]
    said = str(convergence_bias(run_factory(rates=np.arange(12.0, 1, -1), roles=roles)))
    assert "layer_1, layer_3, layer_5 and 2 more (normalization), layer_10 (head)." in said


@pytest.mark.parametrize("count", [1, 6])
def test_two_layers_have_no_order(seeds, count):
    bias = convergence_bias(seeds(count, rates=(4.0, 2.0)))
    assert bias.verdict == "inconclusive"
    assert "an order needs 3 layers, and 2 can be compared" in str(bias)
    assert "Rank correlation" not in str(bias)


def test_layers_that_are_exactly_alike(run_factory):
    rates = [1.0, 2.0, 3.0, 4.0, 5.0]
    runs = [run_factory(rates=(rate,) * 5, steps=STEPS) for rate in rates]
    bias = convergence_bias(runs)
    assert bias.verdict == "equivalent" and bias.ratio.value == 1.0
    assert np.isnan(bias.time_to_half.spearman) and "Rank correlation" not in str(bias)


def test_what_cannot_be_compared(run_factory):
    with pytest.raises(ValueError, match="no run to analyse"):
        convergence_bias([])
    with pytest.raises(ValueError, match="different layers"):
        convergence_bias([run_factory(), run_factory(layers=["a", "b", "c"])])
    with pytest.raises(ValueError, match="holds no layers"):
        convergence_bias(run_factory()[["loss"]])
    with pytest.raises(ValueError, match="LayerConvergence"):
        convergence_bias(run_factory()[["loss", "gradient_norm"]])


def test_runs_in_any_order_of_records_and_until_any_number(seeds):
    runs = seeds(5)
    expected = convergence_bias(runs, 50.0).ratio.logs.values
    shuffled = [run.isel(step=np.random.default_rng(0).permutation(len(STEPS))) for run in runs]
    until = runs[0].step[-1] // 2
    assert convergence_bias(shuffled, until).ratio.logs.values == pytest.approx(expected)


@pytest.mark.parametrize("every", [1, 40, 100])
def test_layers_that_no_record_tells_apart_are_not_equivalent(every):
    """The last layer takes four times as long, which frequent records show."""
    steps = np.arange(0, 401, every)

    def run(seed):
        rates = [0.4, 0.2, 0.1] * np.random.default_rng(seed).lognormal(0, 0.05, 3)
        layers = ["first", "second", "third"]
        distance = ("step", "layer"), np.exp(-np.outer(steps, rates))
        return xr.Dataset({"distance": distance}, {"step": steps, "layer": layers})

    found = convergence_bias([run(seed) for seed in range(6)])
    if every == 1:
        assert found.verdict == "shallower faster" and not found.unseen
    else:
        assert found.verdict == "inconclusive" and "cannot be told apart" in found.reason
        assert found.unseen == ("first", "second", "third")
        assert "Record more often." in str(found)


def test_a_run_that_was_cut_has_no_equivalent_layers(run_factory):
    rates = (40.0, 20.0, 10.0, 1.0)
    runs = [run_factory(rates=rates, steps=range(0, 101, 2)) for _ in range(5)]
    cut = [run.isel(step=slice(10, None)).assign_attrs(seed=n) for n, run in enumerate(runs)]
    assert convergence_bias(cut).verdict != "equivalent"
