from collections.abc import Iterable

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keras_lcb import plotting
from keras_lcb.plotting.figures import figure, figures_of, functions
from keras_lcb.runs import example_run


def test_every_figure_is_public_and_says_what_it_shows():
    run = example_run(frequencies=(1, 3))
    found = figures_of(run)
    assert len(found) >= 9
    assert [each.place for each in found] == sorted({each.place for each in found})
    for each in found:
        assert getattr(plotting, f"plot_{each.name}") is each.plot
        assert each.reading(run).endswith(".") and each.showing(run).endswith(".")


def test_a_figure_refuses_a_run_that_lacks_what_it_needs():
    run = example_run(gradients=False)
    for name, plot in functions().items():
        if hasattr(plot, "figure") and plot.figure.lacks(run):
            with pytest.raises(ValueError, match="The run holds no .* Record it with keras_lcb"):
                plot(run)
            assert name.removeprefix("plot_") not in [each.name for each in figures_of(run)]


def test_a_dimension_counts_only_along_which_there_are_values():
    names = [each.name for each in figures_of(example_run().isel(step=0))]
    assert "loss" not in names and "predictiveness" not in names


def test_a_variable_without_any_value_is_no_figure():
    run = example_run()
    run["gradient_norm"] = run["gradient_norm"] * float("nan")
    assert "gradient_norms" not in [each.name for each in figures_of(run)]


def test_a_figure_of_a_single_value_says_how_to_select():
    run = example_run(frequencies=(1, 3))
    for name, dims in {
        "gradient_norms": ("step", "layer"),
        "contributions": ("step", "layer", "x"),
        "frequency_error": ("step", "frequency"),
        "predictiveness": ("step", "layer", "step_size"),
        "curvature": ("layer", "rank"),
        "loss": ("step",),
    }.items():
        plot = getattr(plotting, f"plot_{name}")
        for dim in dims:
            with pytest.raises(ValueError, match=rf"dimension `{dim}`.* `run.isel\({dim}=\[0\]\)`"):
                plot(run.isel({dim: 0}), ax=Figure().subplots())
    for dim in ("step", "layer"):
        with pytest.raises(ValueError, match=f"dimension `{dim}`"):
            plotting.plot_quantity(run.isel({dim: 0}), "gradient_norm")


def drawn(artists):
    """The numbers of lines, by their labels, in the order in which they are drawn."""
    lines = artists.values() if isinstance(artists, dict) else artists
    return {
        line.get_label(): line.get_xydata().tolist()
        for line in (lines if isinstance(lines, Iterable) else [])
        if isinstance(line, Line2D)
    }


def test_records_may_be_in_any_order():
    run = example_run(frequencies=(1, 3))
    over = ("update", "layer")
    norms = run["gradient_norm"].values[1:]
    run = run.assign(own=(over, norms)).assign_coords(update=range(1, 1 + len(norms)))
    mixed = run.isel(step=[3, 0, 7, 1, 2, 6, 5, 4], update=slice(None, None, -1))
    for each in figures_of(run):
        axes = [Figure().subplots() for _ in range(2)]
        one, other = (
            drawn(each.plot(which, ax=ax)) for which, ax in zip((run, mixed), axes, strict=True)
        )
        assert str(one) == str(other) and each.showing(run) == each.showing(mixed), each.name
    one, other = (drawn(plotting.plot_quantity(which, "own")) for which in (run, mixed))
    assert one == other and len(one) == 4
    pyplot.close("all")


def test_a_declaration_keeps_the_function_as_it_is():
    @figure(needs=("loss",), recorded_by="x", place=1, reading="A line.", showing=str)
    def plot_it(run, ax=None, *, color="red"):
        """Plots it."""
        return [ax, color]

    assert plot_it.__name__ == "plot_it" and plot_it.__doc__ == "Plots it."
    assert plot_it(example_run(), None, color="blue") == [None, "blue"]
    assert plot_it.figure.shows == ("loss",) and plot_it.figure.name == "it"
