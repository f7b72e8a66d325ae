"""The figure of when each frequency is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from keras_lcb.analysis.records import last_record, over_seeds
from keras_lcb.plotting.along_training import frame_training, mean_of_seeds, remark
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.labels import LineLabels
from keras_lcb.plotting.style import is_dark, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def _showing(run: xr.Dataset) -> str:
    errors = last_record(run["frequency_error"])
    ends = (
        f"k = {int(k)}: {float(errors.sel(frequency=k)):.3g}" for k in errors["frequency"].values
    )
    return (
        "Line chart: the error of the prediction at each wave number over updates, relative to "
        f"the target. After {int(errors['step']):,} updates, {', '.join(ends)}."
    )


@figure(
    needs=("frequency_error", "frequency", "step"),
    recorded_by="keras_lcb.FrequencyResponse(x, target=target)",
    place=8,
    reading="A line that falls sooner belongs to a frequency that is learned sooner; the dotted "
    "line marks half the way.",
    showing=_showing,
    shows=("frequency_error",),
)
def plot_frequency_error(run: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Plots how far the prediction is from the target at each frequency, along training.

    At 1, the prediction holds nothing of the frequency; at 0, the frequency is learned. The dotted
    line marks one half. Of runs stacked over seeds, the mean is drawn, with a band from the lowest
    to the highest value.

    Args:
        run: A run with `frequency_error`, as `FrequencyResponse` records it.
        ax: Where to draw. The names are to the right of the axes; a figure that is made with
            `layout="constrained"` leaves room for them. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` for each frequency, low to high.

    Raises:
        ValueError: If the run holds no errors.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> low, high = plot_frequency_error(example_run(frequencies=(1, 3)))
    >>> low.get_label()
    'k = 1'
    """
    errors = run["frequency_error"].sortby("frequency")
    ax = new_axes(ax)
    low, middle, high = over_seeds(errors)
    lines = []
    for place, color in enumerate(frequency_colors(errors.sizes["frequency"], is_dark(ax))):
        own = middle.isel(frequency=place)
        known = np.isfinite(own.values)
        label = f"k = {int(own['frequency'])}"
        steps = own["step"].values[known]
        lines.extend(ax.plot(steps, own.values[known], color=color, label=label))
        if "seed" in errors.dims:
            band = (edge.isel(frequency=place).values[known] for edge in (low, high))
            ax.fill_between(steps, *band, color=color, alpha=0.15, linewidth=0)
    LineLabels(ax, [line for line in lines if np.size(line.get_xdata())])
    ax.axhline(0.5, color=ax.xaxis.label.get_color(), linestyle=":", linewidth=0.8, alpha=0.5)
    said = mean_of_seeds(errors)
    if said:
        said.append("The band is from the lowest to the highest.")
    remark(ax, "Error of the prediction at each frequency", said)
    frame_training(run, ax)
    ax.set_ylabel("error relative to the target's amplitude")
    ax.set_ylim(0, min(2.0, max(1.1, ax.get_ylim()[1])))
    return lines


def frequency_colors(count: int, dark: bool = False) -> list[str]:
    """Returns a colour for each frequency, low to high."""
    # Not the colour map of layers, since these lines do not stand for layers.
    start, stop = (0.35, 1.0) if dark else (0.0, 0.75)
    return [to_hex(c) for c in matplotlib.colormaps["viridis"](np.linspace(start, stop, count))]
