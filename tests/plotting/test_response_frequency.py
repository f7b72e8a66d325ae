import numpy as np
import pytest
import xarray as xr

from keras_lcb.plotting import figures_of, plot_response_frequency, plot_target_frequency
from keras_lcb.runs import schema


def make(shift=0.0):
    steps, layers, cutoffs = [0, 10, 20], ["a", "b"], [0.2, 0.4, 0.6]
    values = (np.arange(18.0).reshape(3, 2, 3) + shift) / 20
    over = ("step", "layer", "cutoff")
    return schema.dataset(
        {
            "response_frequency": (over, values),
            "target_frequency": (over, 1 - values),
            "input_target_frequency": (("cutoff",), [0.9, 0.8, 0.7]),
        },
        {"step": steps, "layer": layers, "depth": [0, 1], "cutoff": cutoffs},
    )


def test_one_cut_off_is_drawn_the_middle_one_by_default(ax):
    run = make()
    for cutoff, place in ((None, 1), (0.58, 2), (0, 0)):
        lines = plot_response_frequency(run, ax, cutoff=cutoff)
        for layer, line in enumerate(lines):
            truth = run.response_frequency[:, layer, place]
            np.testing.assert_array_equal(line.get_ydata(), truth)
    assert ax.get_ylabel() == "share of the response above the cut-off"
    assert "0.2 waves over the typical distance" in ax.texts[-1].get_text()


def test_the_target_stands_beside_that_of_the_images(ax):
    lines = plot_target_frequency(make(), ax, cutoff=0.6)
    np.testing.assert_array_equal(lines[1].get_ydata(), make().target_frequency[:, 1, 2])
    assert any(line.get_ydata()[0] == 0.7 for line in ax.lines if line not in lines)


def test_seeds_are_averaged(ax):
    runs = [make(), make(1.0)]
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    lines = plot_target_frequency(stacked, ax)
    expected = sum(run.target_frequency[:, 0, 1] for run in runs) / 2
    np.testing.assert_allclose(lines[0].get_ydata(), expected)


def test_many_layers_are_a_map(ax):
    run = make().isel(layer=[0] * 25).assign_coords(layer=[f"layer_{n}" for n in range(25)])
    (mesh,) = plot_target_frequency(run, ax)
    assert mesh.get_array().shape == (25, 3)
    assert "Of the images themselves, 0.80" in ax.texts[-1].get_text().replace("\n", " ")


def test_reports_show_both():
    found = {each.name: each for each in figures_of(make())}
    assert {"response_frequency", "target_frequency"} <= set(found)
    told = found["response_frequency"].showing(make())
    assert "Least after 20 updates: a (0.65); most: b (0.8)" in told


def test_descriptions_of_seeds_are_about_the_last_record_of_all():
    runs = [make(), make(1.0).isel(step=slice(2))]  # the second one is shorter
    seeds = xr.DataArray([0, 1], dims="seed", name="seed")
    stacked = xr.concat(runs, seeds, data_vars="all", join="outer")
    for each in figures_of(stacked):
        assert "Least after 10 updates: " in each.showing(stacked)
    expected = "a (0.375); most: b (0.525)"
    assert expected in plot_response_frequency.figure.showing(stacked)


def test_refusals(ax):
    for plot in (plot_response_frequency, plot_target_frequency):
        with pytest.raises(ValueError, match="ResponseFrequency"):
            plot(make()[["input_target_frequency"]], ax)
        for cutoff in ("a", np.nan):
            with pytest.raises(ValueError, match=f"`cutoff` must be a frequency.*{cutoff}"):
                plot(make(), ax, cutoff=cutoff)
