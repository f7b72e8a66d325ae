import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from keras_lcb.analysis import time_to_fraction
from keras_lcb.plotting import plot_convergence


def texts(ax):
    return " ".join(text.get_text() for text in [*ax.texts, ax.title, ax._left_title])


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_draws_one_line_a_layer_with_its_values(run_factory, ax):
    run = run_factory()
    lines = plot_convergence(run, ax)
    assert [line.get_label() for line in lines] == ["layer_0", "layer_1", "layer_2"]
    for line, name in zip(lines, run["layer"].values, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), run["step"])
        np.testing.assert_array_equal(line.get_ydata(), run["normalized_distance"].sel(layer=name))
        assert line.axes is ax
    assert ax.get_xlabel() == "optimizer updates applied"
    assert "final weights" in texts(ax)


def test_makes_a_figure_but_shows_none(run_factory, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("shown"))
    before = pyplot.get_fignums()
    lines = plot_convergence(run_factory())
    (made,) = set(pyplot.get_fignums()) - set(before)
    assert lines[0].figure is pyplot.figure(made)
    pyplot.close(made)


def test_with_an_ax_pyplot_knows_nothing_of_it(run_factory, ax):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    plot_convergence(run_factory(), ax)
    assert pyplot.get_fignums() == before


def test_without_distances_names_the_callback(run_factory, ax):
    with pytest.raises(ValueError, match="LayerConvergence"):
        plot_convergence(run_factory().drop_vars(["normalized_distance", "distance"]), ax)


def test_distances_alone_are_normalized(run_factory, ax):
    run = run_factory()
    lines = plot_convergence(run.drop_vars("normalized_distance"), ax)
    np.testing.assert_allclose(lines[1].get_ydata(), run["normalized_distance"].isel(layer=1))


def test_records_of_another_callback_leave_no_gaps(run_factory, ax):
    run = run_factory().reindex(step=[0, 5, 10, 20, 25, 30, 40, 60, 80, 100])
    for line in plot_convergence(run, ax):
        assert line.get_xdata().tolist() == [0, 10, 20, 30, 40, 60, 80, 100]


def test_roles_have_styles_and_a_legend(run_factory, ax):
    run = run_factory(roles=["embedding", "hidden", "head"])
    lines = plot_convergence(run, ax)
    assert len({line.get_linestyle() + str(line._dash_pattern) for line in lines}) == 3
    assert lines[1].get_linewidth() > lines[0].get_linewidth()
    assert legend_texts(ax) == ["hidden", "head (feeds an output)", "embedding"]


def test_hidden_layers_alone_need_no_legend(run_factory, ax):
    plot_convergence(run_factory(roles=["hidden"] * 3), ax)
    assert ax.get_legend() is None


def test_provisional_runs_say_so(run_factory, ax):
    lines = plot_convergence(run_factory(attrs={"provisional": True}), ax)
    assert "Provisional" in texts(ax)
    assert {line.get_linestyle() for line in lines} == {"--"}


def test_marks_where_nan_began(run_factory, ax):
    distance = np.exp(-np.arange(8.0))[:, None] * [1.0, 2.0]
    distance[5:] = np.nan
    run = run_factory(distance, attrs={"first_nonfinite_update": 55, "nonfinite_updates": 45})
    lines = plot_convergence(run, ax)
    assert "NaN or infinite from update 55" in texts(ax)
    assert [55, 55] in [list(line.get_xdata()) for line in ax.lines]
    assert lines[0].get_xdata()[-1] == 40
    assert ax.get_xlim()[1] >= 100  # the rest of training stays in view


def test_no_mark_if_nan_never_came(run_factory, ax):
    plot_convergence(run_factory(attrs={"first_nonfinite_update": -1}), ax)
    assert "NaN" not in texts(ax) and list(ax.patches) == []


def test_a_layer_that_never_moved_is_named_and_keeps_its_place(run_factory, ax):
    run = run_factory([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], steps=(0, 10))
    lines = plot_convergence(run, ax)
    assert len(lines) == 3 and len(lines[1].get_xdata()) == 0
    assert "layer_1" in texts(ax)


def test_sketched_distances_have_a_band_of_one_standard_error(run_factory, ax):
    run = run_factory()
    run["distance_standard_error"] = 0.1 * run["distance"]
    plot_convergence(run, ax)
    assert "± 1 standard error of the sketch" in legend_texts(ax)
    first = run["normalized_distance"].isel(layer=0)
    band = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(band[:, 1].max(), 1.1 * first.max())


def test_a_run_that_was_cut_keeps_its_band(run_factory, ax):
    run = run_factory()
    run["distance_standard_error"] = 0.1 * run["distance"]
    cut = run.isel(step=slice(3, None))
    plot_convergence(cut, ax)
    band = ax.collections[0].get_paths()[0].vertices
    first = cut["normalized_distance"].isel(layer=0)
    np.testing.assert_allclose(band[:, 1].max(), 1.1 * first.max())


def test_seeds_are_drawn_as_mean_and_band(seeds, ax):
    lines = plot_convergence(seeds, ax)
    values = seeds["normalized_distance"].isel(layer=0)
    np.testing.assert_allclose(lines[0].get_ydata(), values.mean("seed"))
    band = ax.collections[0].get_paths()[0].vertices
    at_20 = band[band[:, 0] == 20, 1]
    np.testing.assert_allclose(
        [at_20.min(), at_20.max()], [values.sel(step=20).min(), values.sel(step=20).max()]
    )
    assert "lowest to highest of 3 seeds" in legend_texts(ax)


def test_seeds_with_other_records_are_drawn_where_all_have_values(unlike, ax):
    lines = plot_convergence(unlike, ax)
    steps, drawn = lines[0].get_data()
    assert steps.tolist() == unlike["step"].values[unlike["step"] <= 84].tolist()
    own = unlike["normalized_distance"].isel(layer=0)
    known = [own.isel(seed=seed).dropna("step") for seed in (0, 1)]
    expected = [np.interp(steps, each["step"], each) for each in known]
    np.testing.assert_allclose(drawn, np.mean(expected, axis=0))
    assert (np.diff(drawn) < 0).all()  # each falls, and so does their mean
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 0].max() == 84


def test_seeds_without_a_common_update_are_named(run_factory, ax):
    run = run_factory()
    late = run.assign_coords(step=run["step"] + 1000)
    seeds = xr.concat([run, late], "seed", data_vars="all", join="outer")
    lines = plot_convergence(seeds, ax)
    assert all(len(line.get_xdata()) == 0 for line in lines)
    assert "no update is within the records of all: layer_0" in " ".join(texts(ax).split())


def test_deep_networks_have_a_key_in_place_of_names(run_factory, ax):
    run = run_factory(rates=np.linspace(4, 1, 20))
    lines = plot_convergence(run, ax)
    (key,) = ax.child_axes
    ax.figure.draw_without_rendering()
    names = [label.get_text() for label in key.get_yticklabels()]
    assert names[0] == "layer_0" and names[-1] == "layer_19"
    boxes = [label.get_window_extent() for label in key.get_yticklabels()]
    assert all(not one.overlaps(other) for one, other in zip(boxes, boxes[1:], strict=False))
    assert len(key.patches) == len(lines) == 20
    assert key.get_ylim()[0] > key.get_ylim()[1]  # shallow at the top


def test_very_deep_networks_are_a_map_with_a_row_a_layer(run_factory, ax):
    run = run_factory(rates=np.linspace(4, 1, 60))
    finer = run.reindex(step=np.arange(run.step.values[-1] + 1))  # another callback's records
    assert plot_convergence(finer, ax)[0].get_array().shape == (60, run.sizes["step"])
    ax.clear()
    (mesh,) = plot_convergence(run.isel(layer=slice(None, None, -1)), ax)
    assert mesh.get_array().shape == (60, run.sizes["step"])
    np.testing.assert_allclose(mesh.get_array()[0], run["normalized_distance"].isel(layer=0))
    (half,) = [each for each in ax.collections if each is not mesh]
    times = [segment[0, 0] for segment in half.get_segments()]
    np.testing.assert_allclose(times, time_to_fraction(run))
    assert "bottom" in ax.get_ylabel()
    assert plot_convergence.figure.reading(run).endswith("shallow at the bottom.")


@pytest.mark.parametrize("records", [1, 8])
def test_a_map_without_values_has_its_axes_and_names_what_is_not_drawn(run_factory, ax, records):
    run = run_factory(rates=np.linspace(4, 1, 30), attrs={"first_nonfinite_update": 1})
    for name in ("distance", "normalized_distance"):
        run[name][:] = np.nan
    (mesh,) = plot_convergence(run.isel(step=slice(records)), ax)
    ax.figure.draw_without_rendering()
    assert not np.isfinite(np.ma.filled(mesh.get_array(), np.nan)).any()
    assert ax.get_yticklabels()[0].get_text() == "layer_0" and "bottom" in ax.get_ylabel()
    assert "layer_0, layer_1, layer_2 and 27 more" in " ".join(texts(ax).split())
    assert "from update 1 on" in texts(ax)


def test_names_point_to_where_lines_come_half_the_way(run_factory, ax):
    run = run_factory()
    plot_convergence(run, ax)
    ax.figure.draw_without_rendering()
    names = {text.get_text(): text for text in ax.texts if text.get_text().startswith("layer_")}
    half = time_to_fraction(run)
    for name, text in names.items():
        np.testing.assert_allclose(text.xy, (float(half.sel(layer=name)), 0.5))
    heights = [text.get_window_extent().y1 for text in names.values()]
    assert heights == sorted(heights, reverse=True)  # the first to come half the way is on top


def test_colors_go_by_depth_and_suit_the_background(run_factory, ax):
    run = run_factory()
    colors = [line.get_color() for line in plot_convergence(run, ax)]
    backwards = run.isel(layer=[2, 1, 0])
    assert [line.get_color() for line in plot_convergence(backwards, ax)] == colors[::-1]
    dark = Figure(facecolor="black").subplots()
    dark.set_facecolor("black")
    assert colors != [line.get_color() for line in plot_convergence(run, dark)]


def test_names_that_look_like_mathematics_or_markup_are_drawn_as_they_are(run_factory, ax):
    run = run_factory(layers=[r"$\frac$", "<script>", "_hidden"])
    plot_convergence(run, ax)
    ax.figure.draw_without_rendering()
    assert {r"$\frac$", "<script>", "_hidden"} <= {text.get_text() for text in ax.texts}
