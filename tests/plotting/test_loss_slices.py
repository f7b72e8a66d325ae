import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_lcb.plotting import plot_loss_slices
from keras_lcb.runs import schema

ALPHA = np.linspace(-1, 1, 5)


def lines(height):
    loss = height * np.stack([ALPHA**2, 2 * ALPHA**2])
    return schema.dataset(
        {"loss": (("direction", "alpha"), loss)}, {"direction": [0, 1], "alpha": ALPHA}
    )


def plane(height):
    loss = height * (ALPHA[:, None] ** 2 + ALPHA)
    return schema.dataset({"loss": (("alpha", "beta"), loss)}, {"alpha": ALPHA, "beta": ALPHA})


@pytest.fixture
def panels():
    return Figure(layout="constrained").subplots(1, 2)


def test_lines_and_their_mean_on_one_scale(panels):
    slices = {"shallow": lines(1.0), "deep": lines(3.0)}
    artists = plot_loss_slices(slices, panels)
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert [panel.get_ylabel() for panel in panels] == ["loss", ""]
    low, high = panels[0].get_ylim()
    assert low < 0 and high > 6
    for name, found in slices.items():
        *each, mean = artists[name]
        assert len(each) == 2
        np.testing.assert_allclose(each[1].get_ydata(), found.loss[1])
        np.testing.assert_allclose(mean.get_ydata(), found.loss.mean("direction"))


def test_planes_share_their_levels(panels):
    artists = plot_loss_slices({"shallow": plane(1.0), "deep": plane(3.0)}, panels)
    panels[0].figure.draw_without_rendering()
    (one,), (other,) = artists.values()
    np.testing.assert_array_equal(one.levels, other.levels)
    assert -4.0 < one.levels[0] <= -3.0 and 6.0 <= one.levels[-1] < 7.0


def test_refusals(panels):
    with pytest.raises(ValueError, match="lines only or planes only"):
        plot_loss_slices({"a": lines(1.0), "b": plane(1.0)}, panels)
    with pytest.raises(ValueError, match="lines only or planes only"):
        plot_loss_slices({}, panels)
    with pytest.raises(ValueError, match="each of the 1 slices"):
        plot_loss_slices({"a": lines(1.0)}, panels)
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_loss_slices({"a": lines(np.nan)}, panels[:1])
