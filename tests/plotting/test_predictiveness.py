import numpy as np
import pytest
import xarray as xr

from keras_lcb.plotting import plot_predictiveness
from keras_lcb.runs import schema


def make(shift=0.0):
    steps, layers, sizes = [0, 10, 20], ["a", "b"], [0.01, 0.1, 1.0]
    values = np.exp(np.arange(18.0).reshape(3, 2, 3) / 5 + shift)
    over = ("step", "layer", "step_size")
    return schema.dataset(
        {
            "gradient_change": (over, values),
            "relative_gradient_change": (over, 2 * values),
            "gradient_cosine": (over, np.cos(values)),
        },
        {"step": steps, "layer": layers, "depth": [0, 1], "step_size": sizes},
    )


def test_bands_reach_over_the_step_sizes(ax):
    run = make()
    lines = plot_predictiveness(run, ax)
    assert ax.get_yscale() == "log"
    for place, (line, band) in enumerate(zip(lines, ax.collections, strict=True)):
        own = run.relative_gradient_change.isel(layer=place)
        np.testing.assert_allclose(line.get_ydata(), own.isel(step_size=1))
        heights = band.get_paths()[0].vertices[:, 1]
        np.testing.assert_allclose(heights.min(), own.min())
        np.testing.assert_allclose(heights.max(), own.max())


def test_another_quantity_and_what_is_missing(ax):
    run = make()
    run["gradient_cosine"][:, 0] = np.nan
    lines = plot_predictiveness(run, ax, quantity="gradient_cosine")
    ax.figure.draw_without_rendering()
    assert ax.get_yscale() == "linear"
    assert len(lines[0].get_xdata()) == 0 and len(lines[1].get_xdata()) == 3


def test_seeds_are_averaged(ax):
    runs = [make(), make(1.0)]
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    lines = plot_predictiveness(stacked, ax, quantity="gradient_change")
    expected = sum(run.gradient_change[:, 0, 1] for run in runs) / 2
    np.testing.assert_allclose(lines[0].get_ydata(), expected)
    assert "Mean of 2 seeds." in ax.texts[-1].get_text()


def test_a_change_of_zero_counts_in_the_mean_of_seeds(ax):
    runs = [make(), make()]
    runs[0]["gradient_change"][1:, 0] = 0.0
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    lines = plot_predictiveness(stacked, ax, quantity="gradient_change")
    expected = sum(run.gradient_change[:, 0, 1] for run in runs) / 2
    np.testing.assert_allclose(lines[0].get_ydata(), expected)


def test_seeds_with_other_records_are_drawn_where_all_have_values(ax):
    stacked = xr.concat([make(), make().isel(step=[0, 2])], "seed", data_vars="all", join="outer")
    shorter = xr.concat([make(), make().isel(step=[0, 1])], "seed", data_vars="all", join="outer")
    for run, steps in ((stacked, [0, 10, 20]), (shorter, [0, 10])):
        ax.clear()
        lines = plot_predictiveness(run, ax)
        assert lines[0].get_xdata().tolist() == steps
        assert ax.collections[0].get_paths()[0].vertices[:, 0].max() == steps[-1]


def test_refusals(run_factory, ax):
    with pytest.raises(ValueError, match="GradientPredictiveness"):
        plot_predictiveness(run_factory(), ax)
    with pytest.raises(ValueError, match="GradientPredictiveness"):
        plot_predictiveness(make().isel(step=0, drop=True), ax)
    with pytest.raises(ValueError, match="`quantity` must be one of"):
        plot_predictiveness(make(), ax, quantity="loss")
