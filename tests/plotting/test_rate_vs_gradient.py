import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_lcb.plotting import plot_rate_vs_gradient


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def test_points_are_norms_and_speeds_worked_out_by_hand(run_factory, ax):
    steps = [0, 10, 30]
    run = run_factory([[4.0, 4.0], [1.0, 3.0], [0.0, 0.0]], steps=steps, roles=["hidden"] * 2)
    run["gradient_norm"][:] = [[np.nan, np.nan], [2.0, 1.0], [1.0, 1.0]]
    (points,) = plot_rate_vs_gradient(run, ax)
    # Half of 4 is passed 2/3 of the way to update 10, and 1/3 of the way from 10 to 30.
    np.testing.assert_allclose(points.get_offsets()[:, 1], [3 / 20, 3 / 50])
    np.testing.assert_allclose(points.get_offsets()[:, 0], [np.sqrt((10 * 4 + 20) / 30), 1.0])
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[0] <= 0, "lengths can be compared"


def test_the_rank_correlation_is_told(run_factory, ax):
    run = run_factory(rates=(4.0, 3.0, 2.0, 1.0))  # norms rise with depth, speeds fall
    plot_rate_vs_gradient(run, ax)
    assert "(Spearman) over 3 hidden layers of all shapes" in texts(ax).replace("\n", " ")
    assert ": -1.00." in texts(ax)


def test_layers_that_are_not_compared_are_hollow(run_factory, ax):
    """Those that are not hidden, and those whose shape no other has."""
    run = run_factory(rates=(5.0, 4.0, 3.0, 2.0, 1.0))
    shapes = ["1×8", "8×8", "8×8", "8×8", "8×1"]
    (points,) = plot_rate_vs_gradient(run.assign_coords(shape=("layer", shapes)), ax)
    assert [len(face) and face[3] for face in points.get_facecolors()] == [0, 1, 1, 1, 0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "compared",
        "not compared",
    ]
    assert "over 3 hidden layers of equal shape: " in texts(ax).replace("\n", " ")


def test_too_few_layers_have_no_correlation_but_points(run_factory, ax):
    (points,) = plot_rate_vs_gradient(run_factory(rates=(2.0, 1.0)), ax)
    assert len(points.get_offsets()) == 2
    assert "No rank correlation" in texts(ax)


def test_a_layer_that_never_came_half_way_has_speed_zero(run_factory, ax):
    run = run_factory([[4.0, 4.0, 0.0], [1.0, 3.9, 0.0]], steps=(0, 10))
    (points,) = plot_rate_vs_gradient(run, ax)
    speeds = np.ma.filled(points.get_offsets()[:, 1], np.nan)
    assert speeds[1] == 0
    assert np.isnan(speeds[2])  # never moved: no speed at all
    ax.figure.draw_without_rendering()


def test_seeds_have_their_mean_and_points_of_their_own(seeds, ax):
    mean, each = plot_rate_vs_gradient(seeds, ax)
    assert len(mean.get_offsets()) == 3
    assert len(each.get_offsets()) == 9
    own = each.get_offsets()[:, 1].reshape(3, 3)
    np.testing.assert_allclose(mean.get_offsets()[:, 1], own.mean(axis=0))


def test_deep_networks_have_a_key(run_factory, ax):
    plot_rate_vs_gradient(run_factory(rates=np.linspace(4, 1, 30)), ax)
    assert len(ax.child_axes) == 1


@pytest.mark.parametrize(
    ("name", "callback"),
    [("gradient_norm", "GradientNorms"), ("normalized_distance", "LayerConvergence")],
)
def test_what_is_missing_is_named(run_factory, ax, name, callback):
    run = run_factory().drop_vars([name, "distance"])
    with pytest.raises(ValueError, match=callback):
        plot_rate_vs_gradient(run, ax)


@pytest.mark.parametrize("decades", [0.5, 3, 16])
def test_numbers_below_the_axis_do_not_overlap(run_factory, decades):
    run = run_factory(rates=np.linspace(4, 1, 8))
    run["gradient_norm"][:] = np.logspace(-decades, 0, 8)
    figure = Figure(figsize=(4.5, 3.5), layout="constrained")
    ax = figure.subplots()
    plot_rate_vs_gradient(run, ax)
    figure.draw_without_rendering()
    ticks = [*ax.xaxis.get_major_ticks(), *ax.xaxis.get_minor_ticks()]
    boxes = [tick.label1.get_window_extent() for tick in ticks if tick.label1.get_text()]
    left, right = ax.get_window_extent().intervalx
    shown = sorted((box.x0, box.x1) for box in boxes if left <= (box.x0 + box.x1) / 2 <= right)
    assert len(shown) >= 2
    assert all(end < start for (_, end), (start, _) in zip(shown, shown[1:], strict=False))
