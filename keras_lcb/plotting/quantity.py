"""Any quantity of layers along training, one line a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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

_ALONG = ("step", "update")


def plot_quantity(run: xr.Dataset, name: str, ax: Axes | None = None) -> list[Line2D]:
    """Plot one quantity of each layer along training, whatever it is.

    Title and axis come from the quantity's own description. The axis is logarithmic where values
    are positive and span more than a factor of ten. Runs stacked over seeds have their mean and a
    band from the lowest to the highest.

    Args:
        run: A run.
        name: One of its variables over records or updates, and layers, such as `"gradient_norm"`
            or what a `StepQuantity` of one's own records.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run holds no such quantity.

    Example:
        >>> from keras_lcb.runs import schema
        >>> described = {"long_name": "share of signs kept", "units": "1"}
        >>> over = ("step", "layer")
        >>> run = schema.dataset(
        ...     {"signs": (over, [[0.5], [0.7]], described)},
        ...     {"step": [0, 10], "layer": ["dense"], "depth": [0], "role": ["hidden"]},
        ... )
        >>> (line,) = plot_quantity(run, "signs")
        >>> line.axes.get_ylabel()
        'share of signs kept'
    """
    values = _values(run, name)
    ax = new_axes(ax)
    finite = values.values[np.isfinite(values.values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        ax.set_yscale("log")
    shown = values.rename({dim: "step" for dim in values.dims if dim == "update"})
    lines = plot_layer_lines(run, shown, ax)
    title = str(values.attrs.get("long_name", name))
    remark(ax, f"{title[:1].upper()}{title[1:]}", remarks_on(run, values))
    ax.set_ylabel(axis_label(values))
    frame_training(run, ax)
    legend(run, values, ax)
    return lines


def is_quantity(values: xr.DataArray) -> bool:
    """Whether values are one number a layer along training, so that `plot_quantity` draws them."""
    own = set(values.dims) - {"seed"}
    return "layer" in own and len(own) == 2 and bool(own.intersection(_ALONG))


def _values(run: xr.Dataset, name: str) -> xr.DataArray:
    drawn = [str(each) for each in run.data_vars if is_quantity(run[each])]
    if name not in drawn:
        held = f"it holds {', '.join(drawn)}" if drawn else "it holds none"
        raise ValueError(f"The run holds no quantity '{name}' of layers along training; {held}.")
    return run[name]
