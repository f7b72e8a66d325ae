"""The figure of any quantity of layers along training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.plotting.along_training import draw_layers, how_to_read
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import Figure, figures_of, in_training_order
from keras_lcb.plotting.style import new_axes
from keras_lcb.runs.received import check_dimensions, check_run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_ALONG = ("step", "update")


def plot_quantity(run: xr.Dataset, name: str, ax: Axes | None = None) -> list[Artist]:
    """Plots any quantity of each layer along training.

    Title and axis label come from the quantity's own description. The axis is logarithmic if the
    values are positive and span more than a factor of ten. Of runs stacked over seeds, the mean is
    drawn, with a band from the lowest to the highest value. More than 20 layers are drawn as a map
    of layers against updates.

    Args:
        run: A run.
        name: A variable of the run over layers and records or updates, such as `"gradient_norm"`,
            or the name of your own `StepQuantity`.
        ax: Where to draw. The names are to the right of the axes; a figure that is made with
            `layout="constrained"` leaves room for them. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` for each layer, in the order of the run's layers; or the map,
        a `matplotlib.collections.QuadMesh`.

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
    check_run(run)
    run = in_training_order(run)
    values = _values(run, name)
    if "step" not in run.coords:  # only what is recorded at each update was selected
        run = run.assign_coords(step=values["update"].rename(update="step"))
    ax = new_axes(ax)
    finite = values.values[np.isfinite(values.values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        ax.set_yscale("log")
    shown = values.rename({dim: "step" for dim in values.dims if dim == "update"})
    return draw_layers(run, shown, ax, title=_title(values))


def quantity_figure(run: xr.Dataset, name: str) -> Figure:
    """Returns a declaration of the figure of any quantity of a run.

    Args:
        run: The run.
        name: A variable of the run over records and layers.
    """
    title = _title(run[name])

    def plot(run: xr.Dataset, ax: Axes | None = None) -> list[Artist]:
        return plot_quantity(run, name, ax)

    def showing(run: xr.Dataset) -> str:
        along = [dim for dim in _ALONG if dim in run[name].dims]
        least, most = least_and_most(run[name].mean(along))
        return f"Chart: {title}, of each layer over updates. Least: {least}; most: {most}."

    def reading(run: xr.Dataset) -> str:
        return how_to_read(run, f"{title}.", f"{title}.")

    return Figure(name, plot, (name,), "", float("inf"), reading, showing, (name,))


def _title(values: xr.DataArray) -> str:
    title = str(values.attrs.get("long_name", values.name))
    return f"{title[:1].upper()}{title[1:]}"


def is_quantity(values: xr.DataArray) -> bool:
    """Returns whether `plot_quantity` can draw values: one number for each layer and moment."""
    own = set(values.dims) - {"seed"}
    return "layer" in own and len(own) == 2 and bool(own.intersection(_ALONG))


def _values(run: xr.Dataset, name: str) -> xr.DataArray:
    drawn = [str(each) for each in run.data_vars if is_quantity(run[each])]
    if name not in drawn:
        check_dimensions(run, "layer", *_ALONG)
        held = f"Choose one of: {', '.join(drawn)}." if drawn else "It holds no such quantities."
        own = [each.plot.__name__ for each in figures_of(run) if name in each.shows]
        drawn_by = f" '{name}' is drawn by {' and '.join(own)}." if own else ""
        raise ValueError(
            f"The run holds no quantity '{name}' of layers along training.{drawn_by} {held}"
        )
    return run[name]
