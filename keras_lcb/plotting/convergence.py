"""How far each layer still is from where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.analysis.convergence import normalized_distance
from keras_lcb.plotting.layer_lines import (
    frame_training,
    legend,
    plot_layer_lines,
    remark,
    remarks_on,
)
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_ENDS = {"final": "the final weights", "model": "the weights the model ends with"}


def plot_convergence(run: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Plot each layer's normalised distance to its converged parameters along training.

    Every line starts at 1. A line that falls sooner belongs to a layer that converges sooner;
    the dotted line marks half the way. Sketched distances have a band of one standard error to
    each side; runs stacked over seeds have their mean and a band from the lowest to the highest.

    Args:
        run: A run with `normalized_distance` or `distance`, as `LayerConvergence` records it.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run holds no distances.

    Example:
        >>> lines = plot_convergence(run)  # doctest: +SKIP
        >>> lines[0].figure.savefig("convergence.svg")  # doctest: +SKIP
    """
    values = normalized_distance(run)
    ax = new_axes(ax)
    margin = None
    if "distance_standard_error" in run and "seed" not in values.dims:
        start = run["distance"].isel(step=0, drop=True)
        margin = run["distance_standard_error"] / start.where(start > 0)
    ax.axhline(0.5, color=ax.xaxis.label.get_color(), linestyle=":", linewidth=0.8, alpha=0.5)
    lines = plot_layer_lines(run, values, ax, margin)
    end = _ENDS.get(str(run.attrs.get("reference", "final")), "the given reference")
    remark(ax, f"Distance of each layer to {end}", remarks_on(run, values))
    ax.set_ylabel("distance relative to its initial value")
    ax.set_ylim(min(0, ax.get_ylim()[0]), max(1.05, ax.get_ylim()[1]))
    frame_training(run, ax)
    legend(run, values, ax, None if margin is None else "± 1 standard error of the sketch")
    return lines
