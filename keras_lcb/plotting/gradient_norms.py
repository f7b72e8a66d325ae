"""The figure of how large each layer's gradient is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.analysis.gradients import rms_over_run
from keras_lcb.plotting.along_training import draw_layers, how_to_read
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import axis_label, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def _reading(run: xr.Dataset) -> str:
    what = (
        "The norm of the whole layer's gradient before clipping, averaged (RMS) over the updates "
        "between two records."
    )
    return how_to_read(run, what, what)


def _showing(run: xr.Dataset) -> str:
    least, most = least_and_most(rms_over_run(run, "gradient_norm"))
    return (
        "Chart: the gradient norm of each layer over updates, on a logarithmic scale. Over the "
        f"run it was least for {least} and largest for {most}."
    )


@figure(
    needs=("gradient_norm",),
    recorded_by="keras_lcb.GradientNorms()",
    place=3,
    reading=_reading,
    showing=_showing,
)
def plot_gradient_norms(run: xr.Dataset, ax: Axes | None = None) -> list[Artist]:
    """Plots each layer's gradient norm along training, on a logarithmic axis.

    A norm is the root mean square over the updates since the previous record. Norms of exactly
    zero are left out, since a logarithmic axis cannot show them. More than 20 layers are drawn as
    a map of layers against updates.

    Args:
        run: A run with `gradient_norm`, as `GradientNorms` records it.
        ax: Where to draw. The names are to the right of the axes; a figure that is made with
            `layout="constrained"` leaves room for them. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` for each layer, in the order of the run's layers; or the map,
        a `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run holds no gradient norms.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> lines = plot_gradient_norms(example_run())
    >>> lines[0].axes.get_yscale()
    'log'
    """
    ax = new_axes(ax)
    norms = run["gradient_norm"]
    ax.set_yscale("log")
    return draw_layers(
        run,
        norms,
        ax,
        title="Gradient norm of each layer",
        label=axis_label(norms),
    )
