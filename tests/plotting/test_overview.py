import pytest
from matplotlib.figure import Figure

from keras_lcb.plotting import PROJECTOR, plot_overview

PANELS = ["convergence", "loss", "gradient_norms", "rate_vs_gradient"]


def test_draws_each_figure_on_its_axes(run_factory):
    axes = Figure(layout="constrained").subplots(2, 2)
    artists = plot_overview(run_factory(), axes)
    assert list(artists) == PANELS
    for ax, drawn in zip(axes.flat, artists.values(), strict=True):
        assert drawn and all(artist.axes is ax for artist in drawn)


def test_draws_what_the_run_has_and_switches_off_the_axes_that_are_left(run_factory):
    axes = Figure(layout="constrained").subplots(2, 2)
    artists = plot_overview(run_factory(gradients=False), axes)
    assert list(artists) == PANELS[:2]
    assert [ax.axison for ax in axes.flat] == [True, True, False, False]
    axes[0, 0].figure.draw_without_rendering()


def test_draws_the_first_figures_where_axes_are_few(run_factory):
    artists = plot_overview(run_factory(), Figure().subplots(1, 2))
    assert list(artists) == PANELS[:2]


def test_a_run_that_no_figure_shows_is_refused(run_factory):
    with pytest.raises(ValueError, match="no data for any figure"):
        plot_overview(run_factory()[["angle"]])


def test_makes_a_figure_of_the_users_size(run_factory):
    from matplotlib import pyplot, rc_context

    with rc_context(PROJECTOR):
        figure = plot_overview(run_factory())["loss"][0].figure
    assert figure.get_size_inches().tolist() == [25.6, 14.4]
    assert figure.axes[0].title.get_fontsize() > 16
    pyplot.close(figure)


def test_a_run_that_has_only_begun_is_drawn(run_factory):
    run = run_factory(attrs={"provisional": True}).isel(step=[0])
    axes = Figure(layout="constrained").subplots(2, 2)
    plot_overview(run, axes)
    axes[0, 0].figure.draw_without_rendering()
