import numpy as np
import pytest
import xarray as xr

from keras_lcb.plotting import plot_stable_rates
from keras_lcb.runs import schema


def make(factor=1.0, rates=(0.5, 2.0, np.nan)):
    rates = factor * np.array(rates)
    values = {"learning_rate": rates, "lower": 0.99 * rates, "upper": 1.01 * rates}
    values["theory"] = np.array([0.4, np.nan, 1.0])
    return schema.dataset(
        {name: (("layer",), array) for name, array in values.items()},
        {"layer": ["b", "a", "c"], "depth": [1, 0, 2]},
    )


def test_bars_by_depth_with_the_mark_of_theory(ax):
    bars = plot_stable_rates(make(), ax)
    ax.figure.draw_without_rendering()
    assert [bar.get_height() for bar in bars][:2] == [0.5, 2.0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == [1.0, 0.0, 2.0]
    (marks,) = ax.lines
    assert marks.get_marker() == "_"
    np.testing.assert_array_equal(marks.get_ydata(), [0.4, np.nan, 1.0])
    assert ax.get_yscale() == "log"
    assert any("c" in text.get_text() and "No limit" in text.get_text() for text in ax.texts)


def test_seeds(ax):
    runs = [make(1.0), make(4.0)]
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    bars = plot_stable_rates(stacked, ax)
    np.testing.assert_allclose([bar.get_height() for bar in bars][:2], [1.0, 4.0])
    assert len(ax.lines) == 3  # the seeds, and theory


def test_a_seed_without_a_limit_leaves_the_mean_to_the_others(ax):
    runs = [make(), make(4.0, rates=(0.5, np.nan, np.nan))]
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    bars = plot_stable_rates(stacked, ax)
    np.testing.assert_allclose([bar.get_height() for bar in bars], [1.0, 2.0, np.nan])
    said = " ".join(text.get_text() for text in ax.texts)
    assert "In some seeds, no limit was found for: a." in said
    assert "No limit was found for: c." in said


def test_without_rates_names_the_function(run_factory, ax):
    with pytest.raises(ValueError, match="largest_stable_learning_rate"):
        plot_stable_rates(run_factory(), ax)
