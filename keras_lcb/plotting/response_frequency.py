"""How much of each layer's response, or of the target it leaves, varies fast."""

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
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_SHOWN = {
    "response_frequency": (
        "How fast each layer's response varies with the image",
        "share of the response above the cut-off",
    ),
    "target_frequency": (
        "How fast the target varies that each layer leaves to those above",
        "share of the target above the cut-off",
    ),
}


def plot_response_frequency(
    run: xr.Dataset,
    ax: Axes | None = None,
    *,
    quantity: str = "response_frequency",
    cutoff: float | None = None,
) -> list[Line2D]:
    """Plot the share of each layer's response above a cut-off frequency along training.

    A line near 1 belongs to a layer whose output varies fast with the image. Of the target, a
    dotted line marks the share before the first layer: as a function of the images themselves.
    Runs stacked over seeds have their mean and a band from the lowest to the highest.

    Args:
        run: A run of `ResponseFrequency`.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.
        quantity: "response_frequency" for what a layer puts out, "target_frequency" for what it
            leaves to the layers above. Defaults to the first.
        cutoff: The cut-off frequency; the recorded one next to it is drawn. Defaults to the middle
            one of those recorded.

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run does not hold the quantity.

    Example:
        >>> lines = plot_response_frequency(run, cutoff=0.5)  # doctest: +SKIP
    """
    if quantity not in _SHOWN:
        raise ValueError(f"`quantity` is one of {', '.join(_SHOWN)}; received {quantity!r}.")
    if quantity not in run:
        raise ValueError(
            f"The run holds no {quantity}: record it with keras_lcb.ResponseFrequency(x, y)."
        )
    known = run["cutoff"].values
    place = len(known) // 2 if cutoff is None else int(np.abs(known - cutoff).argmin())
    values = run[quantity].isel(cutoff=place)
    ax = new_axes(ax)
    lines = plot_layer_lines(run, values, ax)
    said = f"Cut-off: {known[place]:g} waves over the typical distance between two samples."
    if quantity == "target_frequency":
        said += " Dotted: of the images themselves."
        share = float(run["input_target_frequency"].isel(cutoff=place).mean())
        color = ax.xaxis.label.get_color()
        ax.axhline(share, color=color, linestyle=":", linewidth=0.8, alpha=0.5)
    title, label = _SHOWN[quantity]
    remark(ax, title, [said, *remarks_on(run, values)])
    ax.set_ylabel(label)
    ax.set_ylim(-0.02, 1.02)
    frame_training(run, ax)
    legend(run, values, ax)
    return lines
