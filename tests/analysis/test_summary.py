"""The table holds what the run holds, layer by layer."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from keras_lcb.analysis.convergence import area_under_distance, time_to_fraction
from keras_lcb.analysis.gradients import rms_over_run
from keras_lcb.analysis.summary import summary
from keras_lcb.experiments import results


def test_one_row_a_layer(run_factory):
    run = run_factory(layers=["conv", "dense", "out"], kinds=["Conv2D", "Dense", "Dense"])
    table = summary(run)
    assert isinstance(table, pd.DataFrame) and table.index.name == "layer"
    assert table.index.tolist() == ["conv", "dense", "out"]
    assert table.columns.tolist() == [
        "depth",
        "kind",
        "role",
        "parameters",
        "time_to_half",
        "area",
        "angle",
        "gradient_norm",
        "gradient_norm_final",
        "update_norm",
        "update_norm_final",
        "update_ratio",
    ]
    assert table.loc["conv", "kind"] == "Conv2D" and table.depth.dtype == np.int64
    np.testing.assert_array_equal(table.time_to_half, time_to_fraction(run))
    np.testing.assert_array_equal(table.area, area_under_distance(run))
    np.testing.assert_array_equal(table.angle, run.angle[-1])
    np.testing.assert_array_equal(table.gradient_norm, rms_over_run(run, "gradient_norm"))
    np.testing.assert_array_equal(table.gradient_norm_final, run.gradient_norm[-1])
    # the toy's parameter norm is 5 throughout
    np.testing.assert_allclose(table.update_ratio, rms_over_run(run, "update_norm") / 5)


def test_layers_stand_in_depth_order(run_factory):
    run = run_factory()
    pd.testing.assert_frame_equal(summary(run.isel(layer=[2, 0, 1])), summary(run))


def test_a_run_that_holds_less(run_factory):
    with pytest.raises(ValueError, match="holds no layers"):
        summary(run_factory()[["loss"]])
    few = summary(run_factory()[["gradient_norm"]].drop_vars(["depth", "kind", "role"]))
    assert few.columns.tolist() == ["parameters", "gradient_norm", "gradient_norm_final"]


def test_other_quantities_of_a_layer(run_factory):
    run = run_factory().assign(
        trace=("layer", [3.0, 2.0, 1.0]),
        frequency_centroid=(("step", "layer"), np.arange(24.0).reshape(8, 3)),
        r2=(("layer", "frequency"), np.ones((3, 2))),
    )
    table = summary(run)
    assert table.trace.tolist() == [3.0, 2.0, 1.0]
    assert table.frequency_centroid.tolist() == [21.0, 22.0, 23.0]
    assert "r2" not in table


def test_update_ratios_of_callbacks_that_record_at_other_steps(run_factory):
    run = run_factory()
    often = run.reindex(step=np.arange(run.step.values[-1] + 1))
    often["update_norm"] = (("step", "layer"), np.full((often.sizes["step"], 3), 0.3))
    often["update_norm"][0] = np.nan
    often["parameter_norm"] = run["parameter_norm"] * 0 + 2.0  # at the first callback's steps
    assert summary(often).update_ratio.tolist() == pytest.approx([0.15] * 3)


def test_seeds_have_mean_and_spread(run_factory):
    runs = [run_factory(rates=rates) for rates in ((4, 2, 1), (5, 3, 1), (6, 2, 3))]
    table = summary(xr.concat(runs, xr.Variable("seed", [0, 1, 2])))
    times = np.array([time_to_fraction(run) for run in runs])
    np.testing.assert_allclose(table.time_to_half, times.mean(0))
    np.testing.assert_allclose(table.time_to_half_std, times.std(0, ddof=1))
    assert table.kind.tolist() == ["Dense"] * 3 and "depth_std" not in table


def test_seeds_of_unequal_length_have_mean_and_spread(run_factory):
    """Three runs have 100 updates, two have 80. Columns are means of what each run has alone."""
    ends = (100, 100, 100, 80, 80)
    runs = [
        run_factory(rates=(9 + n, 6, 3), steps=range(0, end + 1, 10)) for n, end in enumerate(ends)
    ]
    runs = [run.assign(similarity=1 - 0.5 * run.normalized_distance) for run in runs]
    told = [run.expand_dims(seed=[n]) for n, run in enumerate(runs)]
    each = np.array([summary(run).select_dtypes("number") for run in runs])
    found = summary(results.stacked(told))
    columns = summary(runs[0]).select_dtypes("number").columns
    np.testing.assert_allclose(found[columns], each.mean(0))
    spread = [name for name in columns if name not in ("depth", "parameters")]
    places = [columns.get_loc(name) for name in spread]
    np.testing.assert_allclose(
        found[[f"{name}_std" for name in spread]], each.std(0, ddof=1)[:, places], atol=1e-12
    )


def test_times_by_other_measures(run_factory):
    run = run_factory()
    left = run.normalized_distance
    run = run.assign(
        angle_to_end=0.2 * left**2,
        way_from_start=1 - left,
        similarity=1 - 0.5 * left,
        similarity_to_start=1 - 0.1 * (1 - left),
    )
    table = summary(run)
    np.testing.assert_allclose(table.time_to_half_way_from_start, table.time_to_half)
    np.testing.assert_allclose(table.time_to_half_similarity, table.time_to_half)
    squared = time_to_fraction(run_factory(left.values**2))
    np.testing.assert_allclose(table.time_to_half_angle_to_end, squared)
    assert not {"angle_to_end", "way_from_start", "similarity"} & set(table.columns)
    np.testing.assert_allclose(table.similarity_to_start, 0.9)  # at the end


def test_a_layer_that_never_moved_is_told_from_a_run_that_diverged(run_factory):
    frozen, diverged = run_factory(), run_factory(attrs={"first_nonfinite_update": 3})
    frozen["distance"][:, 1], frozen["normalized_distance"][:, 1] = 0.0, np.nan
    diverged["distance"][:] = diverged["normalized_distance"][:] = np.nan
    assert "no_distance" not in summary(run_factory())
    assert summary(frozen).no_distance.tolist() == ["", "never moved", ""]
    assert summary(diverged).no_distance.tolist() == ["not finite"] * 3
    assert summary(frozen).time_to_half.isna().tolist() == [False, True, False]
    seeds = xr.Variable("seed", [0, 1, 2])
    stacked = xr.concat([frozen, run_factory(), diverged], seeds, combine_attrs="drop")
    told = summary(stacked.assign_attrs(first_nonfinite_update=3)).no_distance
    assert told["layer_0"] == "not finite in 1 of 3 seeds"
    assert told["layer_1"] == "never moved in 1 of 3 seeds, not finite in 1 of 3 seeds"
