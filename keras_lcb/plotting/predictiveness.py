"""How far each layer's gradient holds, along training."""

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

_TITLES = {
    "gradient_change": "Change of each layer's gradient after a step along it",
    "relative_gradient_change": "Change of each layer's gradient, relative to its norm",
    "gradient_cosine": "Cosine between each layer's gradient before and after a step",
}


def plot_predictiveness(
    run: xr.Dataset, ax: Axes | None = None, *, quantity: str = "relative_gradient_change"
) -> list[Line2D]:
    """Plot each layer's gradient predictiveness along training, as a band over the step sizes.

    A layer's band reaches from the lowest to the highest value of all step sizes, its line is the
    middle one's. The narrower and lower the band, the further the gradient holds.

    Args:
        run: A run of `GradientPredictiveness`. Runs stacked over seeds are drawn as their mean.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.
        quantity: "relative_gradient_change", "gradient_change" (both on a logarithmic axis) or
            "gradient_cosine". Defaults to the first.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run does not hold the quantity along training.

    Example:
        >>> lines = plot_predictiveness(run)  # doctest: +SKIP
        >>> lines[0].axes.set_title("ResNet-20")  # doctest: +SKIP
    """
    if quantity not in _TITLES:
        raise ValueError(f"`quantity` is one of {', '.join(_TITLES)}; received {quantity!r}.")
    if quantity not in run or "step" not in run[quantity].dims:
        raise ValueError(
            f"The run holds no {quantity} along training. Record it with "
            "keras_lcb.GradientPredictiveness(x, y)."
        )
    values = run[quantity]
    ax = new_axes(ax)
    if quantity != "gradient_cosine":
        values = values.where(values > 0)
        ax.set_yscale("log")
    mean = values.mean("seed") if "seed" in values.dims else values
    middle = mean.isel(step_size=mean.sizes["step_size"] // 2)
    lines = plot_layer_lines(run, middle, ax)
    for place, line in enumerate(lines):
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
    steps = run["step_size"].values
    said = f"Bands over step sizes {steps[0]:g} to {steps[-1]:g}; lines at {_middle(steps):g}."
    remark(ax, _TITLES[quantity], [said, *remarks_on(run, values)])
    ax.set_ylabel(axis_label(run[quantity]))
    frame_training(run, ax)
    legend(run, middle, ax)
    return lines


def _middle(steps: np.ndarray) -> float:
    return float(steps[len(steps) // 2])
