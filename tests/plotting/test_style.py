import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from keras_lcb import plotting
from keras_lcb.plotting.style import axis_label, depth_colors, new_axes, short_name


def luminance(color):
    """Relative luminance, WCAG 2.1."""
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("dark", "background"), [(False, "#ffffff"), (True, "#1a1a22")])
@pytest.mark.parametrize("count", [1, 2, 5, 20, 60])
def test_colors_are_ordered_and_stand_out(dark, background, count):
    colors = depth_colors(count, dark)
    assert len(set(colors)) == count
    assert (np.diff([luminance(color) for color in colors]) > 0).all()
    assert min(contrast(color, background) for color in colors) >= 3


@given(st.text(max_size=80), st.integers(8, 30))
def test_short_names_are_short_and_printable(name, limit):
    short = short_name(name, limit)
    assert len(short) <= limit
    assert short.isprintable()


def test_an_array_of_axes_is_refused(run_factory):
    axes = Figure().subplots(2)
    for name in ("plot_convergence", "plot_loss", "plot_gradient_norms", "plot_rate_vs_gradient"):
        with pytest.raises(ValueError, match=r"one Matplotlib Axes; received ndarray.* axes\[0\]"):
            getattr(plotting, name)(run_factory(), axes)
    assert new_axes(axes[0]) is axes[0]


def test_short_names_tell_layers_apart():
    names = [f"encoder/stage{s}/block{b}/attention/query" for s in range(4) for b in range(12)]
    assert len({short_name(name) for name in names}) == len(names)
    assert short_name("block1/conv") == "block1/conv"


def test_axis_label_has_units_unless_said_or_none(run_factory):
    run = run_factory()
    assert axis_label(run["step"]) == "optimizer updates applied"
    assert axis_label(run["wall_time"]) == "time since training began (s)"
    assert axis_label(run["gradient_norm"]) == run["gradient_norm"].attrs["long_name"]
