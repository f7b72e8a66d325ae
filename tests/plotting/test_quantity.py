"""`plot_quantity`: any quantity of layers along training, the schema's and a user's own."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from keras_lcb.plotting import plot_quantity
from keras_lcb.runs import schema

matplotlib.use("Agg")


@pytest.fixture
def run(run_factory):
    run = run_factory()
    described = {"long_name": "share of signs kept", "units": "1"}
    values = np.linspace(0.4, 0.6, run.sizes["step"])[:, None] * np.ones(3)
    own = schema.dataset(
        {"signs": (("step", "layer"), values, described)},
        {name: run[name].values for name in ("step", "layer")},
    )
    return run.assign(signs=own.signs)


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def test_a_quantity_of_ones_own_is_drawn_with_its_own_words(run):
    lines = plot_quantity(run, "signs")
    assert [line.get_label() for line in lines] == run.layer.values.tolist()
    np.testing.assert_allclose(lines[1].get_ydata(), run.signs[:, 1])
    np.testing.assert_allclose(lines[1].get_xdata(), run.step)
    ax = lines[0].axes
    assert ax.get_title(loc="left") == "Share of signs kept"
    assert ax.get_ylabel() == "share of signs kept" and ax.get_yscale() == "linear"


def test_values_that_span_decades_have_a_logarithmic_axis(run):
    run["signs"] = run.signs * 100.0 ** np.arange(run.sizes["step"])[:, None]
    assert plot_quantity(run, "signs")[0].axes.get_yscale() == "log"
    run["signs"] = -run.signs
    assert plot_quantity(run, "signs")[0].axes.get_yscale() == "linear"


def test_numbers_of_each_update(run):
    each = np.arange(30.0).reshape(10, 3)
    updates = schema.dataset(
        {"gradient_norm_per_update": (("update", "layer"), each)},
        {"update": np.arange(1, 11), "layer": run.layer.values},
    )
    lines = plot_quantity(run.merge(updates), "gradient_norm_per_update")
    np.testing.assert_allclose(lines[2].get_xdata(), np.arange(1, 11))
    np.testing.assert_allclose(lines[2].get_ydata(), each[:, 2])


def test_a_selection_of_single_updates_is_drawn(run):
    numbers = np.linspace(1.0, 2.0, 5)[:, None] * np.ones(3)
    run = run.assign(own=(("update", "layer"), numbers)).assign_coords(update=range(1, 6))
    lines = plot_quantity(run[["own"]], "own")
    np.testing.assert_array_equal(lines[0].get_xdata(), run["update"])
    assert lines[0].axes.get_xlim()[1] == pytest.approx(5.08)


def test_what_cannot_be_drawn_is_named(run):
    with pytest.raises(ValueError, match=r"no quantity 'sings'.*Choose one of: .*signs"):
        plot_quantity(run, "sings")
    with pytest.raises(ValueError, match="no quantity 'loss' .* 'loss' is drawn by plot_loss"):
        plot_quantity(run, "loss")
