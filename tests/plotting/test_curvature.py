import numpy as np
import pytest
import xarray as xr

from keras_lcb.plotting import plot_curvature
from keras_lcb.runs import schema

VALUES = np.array([[4.0, 2.0], [8.0, -1.0], [-3.0, -4.0], [9.0, 5.0]])


def make(factor=1.0):
    """Layers out of order, the whole model after them, one without a positive eigenvalue."""
    over = ("layer", "rank")
    return schema.dataset(
        {
            "eigenvalue": (over, factor * VALUES),
            "residual": (over, np.full((4, 2), 0.1)),
            "smallest_eigenvalue": (("layer",), np.array([-1.0, 0.5, -5.0, -6.0])),
        },
        {"layer": ["b", "a", "c", "(all)"], "depth": [1, 0, 2, 3], "rank": [1, 2]},
        {"mode": "evaluation"},
    )


def along_training(steps):
    over = ("step", "layer", "rank")
    values = np.stack([(1 + step) * VALUES[:2] for step in steps])
    return schema.dataset(
        {"eigenvalue": (over, values), "residual": (over, np.full(values.shape, 0.1))},
        {"step": steps, "layer": ["b", "a"], "depth": [1, 0], "rank": [1, 2]},
    )


def texts(ax):
    return " ".join([ax.get_title(), *(text.get_text() for text in ax.texts)])


def bars(ax):
    """The lower and the upper end of each error bar that is drawn."""
    segments = [segment for drawn in ax.collections for segment in drawn.get_segments()]
    return [segment[:, 1] for segment in segments if len(segment)]


def test_eigenvalues_by_depth(ax):
    (line,) = plot_curvature(make(), ax)
    ax.figure.draw_without_rendering()
    assert ax.get_yscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    np.testing.assert_array_equal(line.get_ydata(), [8.0, 4.0, np.nan])
    labelled = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(
        labelled["−smallest, where negative"].get_ydata(), [np.nan, 1.0, 5.0]
    )
    assert labelled["whole model: 9"].get_ydata()[0] == 9.0
    assert "further, down to rank 2" in labelled
    assert "no positive eigenvalue: c" in texts(ax)
    assert "evaluation mode" in texts(ax)


def test_bars_reach_as_far_as_the_residual_allows(ax):
    plot_curvature(make(), ax)
    assert any(np.allclose(bar, [7.2, 8.8]) for bar in bars(ax))
    assert any(np.allclose(bar, [3.6, 4.4]) for bar in bars(ax))


def test_names_what_is_drawn_and_nothing_else(ax):
    plot_curvature(make().isel(layer=[1], rank=[0]), ax)
    assert [line.get_label() for line in ax.lines if line.get_label()[0] != "_"] == ["largest"]


def test_first_middle_and_last_record_along_training(ax):
    run = along_training([0, 10, 20, 30, 40])
    run["eigenvalue"][-1] = np.nan  # of a training that diverged
    lines = plot_curvature(run, ax)
    assert [line.get_label() for line in lines] == ["step 0", "step 20", "step 30"]
    np.testing.assert_allclose(lines[1].get_ydata(), 21 * np.array([8.0, 4.0]))
    colors = {line.get_color() for line in lines}
    assert len(colors) == 3


def test_eigenvalues_that_are_all_nan_leave_the_axes_and_a_remark(ax):
    run = along_training([0, 10])
    run["eigenvalue"][:] = np.nan
    assert plot_curvature(run, ax) == []
    ax.figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    assert "no positive eigenvalue: a, b" in texts(ax)


def test_seeds_are_drawn_as_their_median(ax):
    runs = [make(1.0), make(2.0), make(10.0)]
    stacked = xr.concat(runs, xr.DataArray([0, 1, 2], dims="seed", name="seed"), data_vars="all")
    (line,) = plot_curvature(stacked, ax)
    np.testing.assert_array_equal(line.get_ydata(), [16.0, 8.0, np.nan])
    assert any(np.allclose(bar, [8.0, 80.0]) for bar in bars(ax))
    assert "Median of 3 seeds" in texts(ax)


def test_a_layer_whose_median_is_not_positive_is_named(ax):
    runs = [make(1.0), make(2.0), make(-1.0)]  # of which one has a positive eigenvalue of c
    stacked = xr.concat(runs, xr.DataArray([0, 1, 2], dims="seed", name="seed"), data_vars="all")
    (line,) = plot_curvature(stacked, ax)
    assert np.isnan(line.get_ydata()[2])
    said = texts(ax).replace("\n", " ")
    assert "since the median of their largest eigenvalues is not positive: c." in said


def test_refuses_what_has_no_eigenvalues(run_factory, ax):
    with pytest.raises(ValueError, match=r"landscape\.curvature"):
        plot_curvature(run_factory(), ax)
