import numpy as np
import pytest

from keras_lcb.plotting import plot_gradient_norms


def test_draws_the_recorded_norms_on_a_logarithmic_axis(run_factory, ax):
    run = run_factory()
    lines = plot_gradient_norms(run, ax)
    assert ax.get_yscale() == "log"
    for index, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_xdata(), run["step"][1:])  # none before training
        np.testing.assert_array_equal(line.get_ydata(), run["gradient_norm"][1:, index])


def test_norms_of_zero_are_left_out(run_factory, ax):
    run = run_factory()
    run["gradient_norm"][3, 0] = 0.0
    run["gradient_norm"][:, 1] = 0.0
    lines = plot_gradient_norms(run, ax)
    ax.figure.draw_without_rendering()
    assert run["step"].values[3] not in lines[0].get_xdata()
    assert len(lines[1].get_xdata()) == 0


def test_a_map_of_norms_that_are_all_zero_is_empty(run_factory, ax):
    run = run_factory(rates=np.linspace(4, 1, 30))
    run["gradient_norm"][:] = 0.0
    (mesh,) = plot_gradient_norms(run, ax)
    ax.figure.draw_without_rendering()
    assert mesh.get_array().shape == (30, run.sizes["step"])
    assert any("Not drawn" in text.get_text() for text in ax.texts)


def test_without_norms_names_the_callback(run_factory, ax):
    with pytest.raises(ValueError, match="GradientNorms"):
        plot_gradient_norms(run_factory(gradients=False), ax)


def test_seeds_are_drawn_as_mean_and_band(seeds, ax):
    plot_gradient_norms(seeds, ax)
    assert len(ax.collections) == 3


def test_norms_of_zero_count_in_the_mean_of_seeds(seeds, ax):
    """A layer that dies in one of three seeds goes on in the others."""
    seeds["gradient_norm"] = seeds["gradient_norm"].transpose("seed", "step", "layer").copy()
    seeds["gradient_norm"][0, 2, 0] = 0.0
    seeds["gradient_norm"][0, 4:, 0] = 0.0
    lines = plot_gradient_norms(seeds, ax)
    expected = seeds["gradient_norm"].isel(layer=0).mean("seed")[1:]
    np.testing.assert_allclose(lines[0].get_ydata(), expected)
    ax.figure.draw_without_rendering()
