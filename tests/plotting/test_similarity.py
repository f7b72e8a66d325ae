import numpy as np
import pytest
import xarray as xr

from keras_lcb.plotting import figures_of, plot_similarity
from keras_lcb.runs import schema

OVER = ("step", "layer")


def make(low=-0.05):
    similarity = np.array([[0.2, low], [0.95, 0.5], [1.0, 1.0]])
    return schema.dataset(
        {"similarity": (OVER, similarity), "similarity_to_start": (OVER, similarity[::-1])},
        {"step": [0, 10, 20], "layer": ["a", "b"], "depth": [0, 1], "role": ["hidden", "head"]},
    )


def test_lines_are_the_similarities_on_a_plain_axis(ax):
    lines = plot_similarity(make(), ax)
    for layer, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_ydata(), make().similarity[:, layer])
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] < -0.05 and ax.get_ylim()[1] == 1.05
    assert any(line.get_ydata()[0] == 0.9 for line in ax.lines if line not in lines)


def test_those_to_the_start(ax):
    lines = plot_similarity(make(), ax, to="start")
    np.testing.assert_array_equal(lines[0].get_ydata(), [1.0, 0.95, 0.2])
    assert "initial" in ax.get_title("left")


def test_seeds_and_missing_layers(ax):
    runs = [make(), make(0.35)]
    runs[0]["similarity"][:, 0] = runs[1]["similarity"][:, 0] = np.nan
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    lines = plot_similarity(stacked, ax)
    np.testing.assert_allclose(lines[1].get_ydata(), [0.15, 0.5, 1.0])
    assert len(lines[0].get_xdata()) == 0
    assert "they have no values: a" in ax.texts[-1].get_text().replace("\n", " ")


def test_reports_show_it():
    (found,) = figures_of(make())
    assert "First to reach 0.9, with the update: a (9.33); last: b (18)" in found.showing(make())
    assert found.reading(make()).endswith(".")


def test_refusals(ax):
    with pytest.raises(ValueError, match="RepresentationSimilarity"):
        plot_similarity(make()[["similarity_to_start"]], ax)
    with pytest.raises(ValueError, match='`to` is "end" or "start"'):
        plot_similarity(make(), ax, to="final")
