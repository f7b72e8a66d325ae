"""The figure of how far each layer still is from its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.convergence import normalized_distance, time_to_fraction
from keras_lcb.plotting.along_training import draw_layers, how_to_read, is_map
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.labels import half_way
from keras_lcb.plotting.style import depths, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_ENDS = {"final": "the final weights", "model": "the weights the model ends with"}


def _reading(run: xr.Dataset) -> str:
    return how_to_read(
        run,
        "A line that falls sooner belongs to a layer that converges sooner; the dotted line marks "
        "half the way.",
        "A row that grows dark sooner belongs to a layer that converges sooner; the white marks "
        "show when each layer has come half the way.",
        "where it has come half the way",
    )


def _showing(run: xr.Dataset) -> str:
    first, last = least_and_most(time_to_fraction(run))
    return (
        "Chart: the distance of each layer to where it ends, from 1 at the start, over updates. "
        f"First half-way, with the update: {first}; last: {last}."
    )


@figure(
    needs=("distance",),
    recorded_by="keras_lcb.LayerConvergence()",
    place=1,
    reading=_reading,
    showing=_showing,
    shows=("distance", "normalized_distance", "distance_standard_error"),
)
def plot_convergence(run: xr.Dataset, ax: Axes | None = None) -> list[Artist]:
    """Plots each layer's normalized distance to its converged parameters along training.

    Every line starts at 1. A line that falls sooner belongs to a layer that converges sooner; the
    dotted line marks half the way. Sketched distances have a band of one standard error to each
    side. Of runs stacked over seeds, the mean is drawn, with a band from the lowest to the highest
    value. More than 20 layers are drawn as a map of layers against updates.

    Args:
        run: A run with `distance`, as `LayerConvergence` records it.
        ax: Where to draw. The names are to the right of the axes; a figure that is made with
            `layout="constrained"` leaves room for them. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` for each layer, in the order of the run's layers; or the map,
        a `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run holds no distances.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> lines = plot_convergence(example_run())
    >>> lines[0].axes.get_ylabel()
    'distance relative to its initial value'
    """
    values = normalized_distance(run)
    ax = new_axes(ax)
    margin = None
    if "distance_standard_error" in run and "seed" not in values.dims:
        # Not the first record's distance, since a run that was cut keeps its normalized distances.
        start = (run["distance"] / values.where(values > 0)).max("step")
        margin = run["distance_standard_error"] / start
    end = _ENDS.get(str(run.attrs.get("reference", "final")), "the given reference")
    artists = draw_layers(
        run,
        values,
        ax,
        title=f"Distance of each layer to {end}",
        label="distance relative to its initial value",
        margin=margin,
        margin_label="± 1 standard error of the sketch",
        named_at=half_way,
    )
    if is_map(run):
        _mark_half(run, ax)
    else:
        ink = ax.xaxis.label.get_color()
        ax.axhline(0.5, color=ink, linestyle=":", linewidth=0.8, alpha=0.5)
        ax.set_ylim(min(0, ax.get_ylim()[0]), max(1.05, ax.get_ylim()[1]))
    return artists


def _mark_half(run: xr.Dataset, ax: Axes) -> None:
    """Marks on the map where each layer has come half the way."""
    half = time_to_fraction(run)
    half = half.mean("seed") if "seed" in half.dims else half
    order = np.argsort(depths(run), kind="stable")
    rows = np.arange(len(order))
    ax.vlines(half.values[order], rows, rows + 1, color="white", linewidth=1.5)
