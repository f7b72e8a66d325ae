import numpy as np
import pytest

from keras_lcb.plotting import plot_loss


def test_draws_training_and_validation_loss(run_factory, ax):
    run = run_factory()
    run["validation_loss"] = 2 * run["loss"]
    training, validation = plot_loss(run, ax)
    np.testing.assert_array_equal(training.get_ydata(), run["loss"][1:])
    np.testing.assert_array_equal(validation.get_ydata(), run["validation_loss"][1:])
    assert "Learning rate 0.1 throughout." in ax.texts[0].get_text()


def test_a_loss_that_falls_far_has_a_logarithmic_axis(run_factory, ax):
    run = run_factory()
    plot_loss(run, ax)
    assert ax.get_yscale() == "linear"
    plot_loss(run.assign(loss=run["loss"] ** 9), ax)
    assert ax.get_yscale() == "log"


def test_tells_of_a_falling_learning_rate(run_factory, ax):
    run = run_factory()
    run["learning_rate"] = 0.1 * 0.5 ** (run["step"] / 10)
    plot_loss(run, ax)
    assert "0.1 at first, 9.77e-05 at last" in ax.texts[0].get_text()


def test_rates_of_seeds_are_no_schedule(seeds, ax):
    seeds["learning_rate"] = (0.1 / (1 + seeds["seed"])).expand_dims(step=seeds["step"])
    plot_loss(seeds, ax)
    assert "Learning rates differ by seed: 0.0333 to 0.1." in ax.texts[0].get_text()


def test_losses_may_be_negative_or_stacked(seeds, ax):
    seeds["loss"] = -seeds["loss"]
    (line,) = plot_loss(seeds, ax)
    assert ax.get_yscale() == "linear"
    np.testing.assert_allclose(line.get_ydata(), seeds["loss"].mean("seed")[1:])


def test_seeds_with_other_records_are_drawn_where_all_have_values(unlike, ax):
    (line,) = plot_loss(unlike, ax)
    steps = unlike["step"].values
    assert line.get_xdata().tolist() == steps[(steps >= 10) & (steps <= 84)].tolist()
    assert (np.diff(line.get_ydata()) < 0).all()
    assert "Training loss went from 0.89" in plot_loss.figure.showing(unlike)


def test_without_loss_says_so(run_factory, ax):
    with pytest.raises(ValueError, match="no loss"):
        plot_loss(run_factory().drop_vars("loss"), ax)
