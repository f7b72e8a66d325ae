"""How large each layer's gradient is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.plotting.layer_lines import (
    frame_training,
    legend,
    plot_layer_lines,
    remark,
    remarks_on,
)
from keras_lcb.plotting.style import axis_label, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def plot_gradient_norms(run: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Plot each layer's gradient norm along training, on a logarithmic axis.

    A norm is the root mean square over the updates since the previous record. Norms of exactly
    zero have no place on the axis and are left out.

    Args:
        run: A run with `gradient_norm`, as `GradientNorms` records it.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run holds no gradient norms.

    Example:
        >>> lines = plot_gradient_norms(run)  # doctest: +SKIP
        >>> lines[0].axes.set_title("ResNet-20")  # doctest: +SKIP
    """
    if "gradient_norm" not in run:
        raise ValueError(
            "The run holds no gradient_norm. Record it with keras_lcb.GradientNorms()."
        )
    ax = new_axes(ax)
    values = run["gradient_norm"]
    values = values.where(values > 0)
    ax.set_yscale("log")
    lines = plot_layer_lines(run, values, ax)
    remark(ax, "Gradient norm of each layer", remarks_on(run, values))
    ax.set_ylabel(axis_label(run["gradient_norm"]))
    frame_training(run, ax)
    legend(run, values, ax)
    return lines
