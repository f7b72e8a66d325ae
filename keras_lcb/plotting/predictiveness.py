"""The figure of how well each layer's gradient predicts the gradient after a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from keras_lcb.analysis.records import over_seeds
from keras_lcb.plotting.along_training import draw_layers, how_to_read, is_map, mean_of_seeds
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import axis_label, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_TITLES = {
    "gradient_change": "Change of each layer's gradient after a step along it",
    "relative_gradient_change": "Change of each layer's gradient, relative to its norm",
    "gradient_cosine": "Cosine between each layer's gradient before and after a step",
}


def _reading(run: xr.Dataset) -> str:
    what = "The lower, the less the layer's gradient changes when the layer takes a step along it."
    return how_to_read(run, what, what)


def _showing(run: xr.Dataset) -> str:
    change = run["relative_gradient_change"]
    least, most = least_and_most(change)
    return (
        "Chart: how much each layer's gradient changes after a step along it, over updates. "
        f"Least on average: {least}; most: {most}."
    )


@figure(
    needs=("relative_gradient_change", "step", "step_size"),
    recorded_by="keras_lcb.GradientPredictiveness(x, y)",
    place=5,
    reading=_reading,
    showing=_showing,
    shows=tuple(_TITLES),
)
def plot_predictiveness(
    run: xr.Dataset, ax: Axes | None = None, *, quantity: str = "relative_gradient_change"
) -> list[Artist]:
    """Plots each layer's gradient predictiveness along training, as a band over the step sizes.

    A layer's band reaches from the lowest to the highest value over all step sizes; its line is
    the value at the middle step size. The lower and narrower the band, the less the gradient
    changes. More than 20 layers are drawn as a map of layers against updates, at the middle step
    size.

    Args:
        run: A run of `GradientPredictiveness`. Runs stacked over seeds are drawn as their mean.
        ax: Where to draw. The names are to the right of the axes; a figure that is made with
            `layout="constrained"` leaves room for them. Defaults to `None`: a new pyplot figure.
        quantity: "relative_gradient_change", "gradient_change" (both on a logarithmic axis) or
            "gradient_cosine". Defaults to the first.

    Returns:
        One `matplotlib.lines.Line2D` for each layer, in the order of the run's layers; or the map,
        a `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run does not hold the quantity along training.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> lines = plot_predictiveness(example_run())
    >>> lines[0].axes.get_yscale()
    'log'
    """
    if quantity not in _TITLES:
        raise ValueError(f"`quantity` must be one of {', '.join(_TITLES)}; received {quantity!r}.")
    if quantity not in run:
        raise ValueError(f"The run holds no {quantity}. Choose another `quantity`.")
    values = run[quantity]
    ax = new_axes(ax)
    mean = over_seeds(values)[1]
    if quantity != "gradient_cosine":
        mean = mean.where(mean > 0)
        ax.set_yscale("log")
    middle = mean.isel(step_size=mean.sizes["step_size"] // 2)
    steps = run["step_size"].values
    said = f"Bands over step sizes {steps[0]:g} to {steps[-1]:g}; lines at {_middle(steps):g}."
    if is_map(run):
        said = f"At step size {_middle(steps):g}."
    artists = draw_layers(
        run,
        middle,
        ax,
        title=_TITLES[quantity],
        remarks=[said, *mean_of_seeds(values)],
        label=axis_label(run[quantity]),
    )
    for place, line in enumerate(each for each in artists if isinstance(each, Line2D)):
        own = mean.isel(layer=place)
        low, high = own.min("step_size"), own.max("step_size")
        known = low.notnull().values
        ax.fill_between(
            own["step"].values[known],
            low.values[known],
            high.values[known],
            color=line.get_color(),
            alpha=0.15,
            linewidth=0,
        )
    return artists


def _middle(steps: np.ndarray) -> float:
    return float(steps[len(steps) // 2])
