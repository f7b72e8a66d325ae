"""The figure of how much of each layer's response varies fast."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.records import last_record
from keras_lcb.plotting.along_training import draw_layers, how_to_read, is_map
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

RECORDED_BY = "keras_lcb.ResponseFrequency(x, y)"


def _reading(run: xr.Dataset) -> str:
    what = "The higher, the faster the layer's output varies with the image: what it contributes."
    return how_to_read(run, what, what)


def _showing(run: xr.Dataset) -> str:
    last = last_record(at_cutoff(run, "response_frequency", None)[0])
    least, most = least_and_most(last)
    return (
        "Chart: the share of each layer's response to images above a cut-off frequency, over "
        f"updates. Least after {int(last['step']):,} updates: {least}; most: {most}."
    )


@figure(
    needs=("response_frequency",),
    recorded_by=RECORDED_BY,
    place=8.4,
    reading=_reading,
    showing=_showing,
)
def plot_response_frequency(
    run: xr.Dataset, ax: Axes | None = None, *, cutoff: float | None = None
) -> list[Artist]:
    """Plots the share of each layer's response above a cut-off frequency, along training.

    A line near 1 belongs to a layer whose output varies fast with the image. Of runs stacked over
    seeds, the mean is drawn, with a band from the lowest to the highest value. More than 20 layers
    are drawn as a map of layers against updates.

    Args:
        run: A run of `ResponseFrequency`.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.
        cutoff: The cut-off frequency. The nearest recorded one is drawn. Defaults to the middle one
            of those recorded.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers, or the map, a
        `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run holds no response frequencies, or `cutoff` is not a number.

    Example:
    >>> from keras_lcb.runs import schema
    >>> run = schema.dataset(
    ...     {"response_frequency": (("step", "layer", "cutoff"), [[[0.5]], [[0.8]]])},
    ...     {"step": [0, 9], "layer": ["a"], "depth": [0], "role": ["hidden"], "cutoff": [0.5]},
    ... )
    >>> (line,) = plot_response_frequency(run)
    >>> line.axes.get_ylabel()
    'share of the response above the cut-off'
    """
    values, said = at_cutoff(run, "response_frequency", cutoff)
    ax = new_axes(ax)
    artists = draw_layers(
        run,
        values,
        ax,
        title="How fast each layer's response varies with the image",
        remarks=[said],
        label="share of the response above the cut-off",
    )
    from_0_to_1(run, ax)
    return artists


def at_cutoff(run: xr.Dataset, name: str, cutoff: float | None) -> tuple[xr.DataArray, str]:
    """Returns a quantity at one cut-off, and a sentence that says which."""
    if cutoff is not None and not (isinstance(cutoff, numbers.Real) and math.isfinite(cutoff)):
        raise ValueError(f"`cutoff` must be a frequency, such as 0.5; received {cutoff!r}.")
    known = run["cutoff"].values
    place = len(known) // 2 if cutoff is None else int(np.abs(known - cutoff).argmin())
    said = f"Cut-off: {known[place]:g} waves over the typical distance between two samples."
    return run[name].isel(cutoff=place), said


def from_0_to_1(run: xr.Dataset, ax: Axes) -> None:
    """Shows the whole range of a share."""
    if not is_map(run):
        ax.set_ylim(-0.02, 1.02)
