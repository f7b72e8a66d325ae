"""The figure of how fast the target varies, as a function of each layer's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.analysis.records import last_record
from keras_lcb.plotting.along_training import draw_layers, how_to_read, is_map
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.response_frequency import RECORDED_BY, at_cutoff, from_0_to_1
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def _reading(run: xr.Dataset) -> str:
    what = (
        "The lower, the slower the target varies with the layer's output, and the simpler is what "
        "is left for the layers above."
    )
    return how_to_read(run, what, what)


def _showing(run: xr.Dataset) -> str:
    last = last_record(at_cutoff(run, "target_frequency", None)[0])
    least, most = least_and_most(last)
    return (
        "Chart: the share of the target above a cut-off frequency, as a function of each layer's "
        f"output, over updates. Least after {int(last['step']):,} updates: {least}; most: {most}."
    )


@figure(
    needs=("target_frequency", "input_target_frequency"),
    recorded_by=RECORDED_BY,
    place=8.5,
    reading=_reading,
    showing=_showing,
)
def plot_target_frequency(
    run: xr.Dataset, ax: Axes | None = None, *, cutoff: float | None = None
) -> list[Artist]:
    """Plots the share above a cut-off frequency of the target, as each layer's output leaves it.

    The target is taken as a function of a layer's output, which is what the layers above have to
    learn; the dotted line marks its share as a function of the images themselves. In all other
    ways, the figure is like `plot_response_frequency`.

    Args:
        run: A run of `ResponseFrequency` with targets.
        ax: Where to draw; a new pyplot figure by default.
        cutoff: The cut-off frequency. The nearest recorded one is drawn. Defaults to the middle one
            of those recorded.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers, or the map, a
        `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run holds no targets' frequencies, or `cutoff` is not a number.

    Example:
    >>> from keras_lcb.runs import schema
    >>> run = schema.dataset(
    ...     {
    ...         "target_frequency": (("step", "layer", "cutoff"), [[[0.9]], [[0.3]]]),
    ...         "input_target_frequency": (("cutoff",), [0.9]),
    ...     },
    ...     {"step": [0, 9], "layer": ["a"], "depth": [0], "role": ["hidden"], "cutoff": [0.5]},
    ... )
    >>> (line,) = plot_target_frequency(run)
    >>> line.axes.get_ylabel()
    'share of the target above the cut-off'
    """
    values, said = at_cutoff(run, "target_frequency", cutoff)
    of_images = float(at_cutoff(run, "input_target_frequency", cutoff)[0].mean())
    dotted = "" if is_map(run) else "dotted: "
    ax = new_axes(ax)
    artists = draw_layers(
        run,
        values,
        ax,
        title="How fast the target varies that each layer leaves to those above",
        remarks=[f"{said} Of the images themselves, {dotted}{of_images:.2f}."],
        label="share of the target above the cut-off",
    )
    from_0_to_1(run, ax)
    if not is_map(run):
        ink = ax.xaxis.label.get_color()
        ax.axhline(of_images, color=ink, linestyle=":", linewidth=0.8, alpha=0.5)
    return artists
