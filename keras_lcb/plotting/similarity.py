"""How alike each layer's activations are to its final or initial ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "end": ("similarity", "Similarity of each layer's activations to the final ones"),
    "start": ("similarity_to_start", "Similarity of each layer's activations to the initial ones"),
}


def plot_similarity(run: xr.Dataset, ax: Axes | None = None, *, to: str = "end") -> list[Line2D]:
    """Plot how alike each layer's activations are to its final or initial ones, along training.

    Every line ends at 1, or begins there. The dotted line marks 0.9, beyond which
    `analysis.time_to_similarity` takes a layer's representation for settled. Runs stacked over
    seeds have their mean and a band from the lowest to the highest.

    Args:
        run: A run of `RepresentationSimilarity`.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.
        to: "end" for the final activations, "start" for the initial ones. Defaults to "end".

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers.

    Raises:
        ValueError: If the run holds no similarities.

    Example:
        >>> lines = plot_similarity(run)  # doctest: +SKIP
    """
    if to not in _SHOWN:
        raise ValueError(f'`to` is "end" or "start"; received {to!r}.')
    name, title = _SHOWN[to]
    if name not in run:
        raise ValueError(
            "The run holds no similarities: record them with keras_lcb.RepresentationSimilarity(x)."
        )
    values = run[name]
    ax = new_axes(ax)
    if to == "end":
        color = ax.xaxis.label.get_color()
        ax.axhline(0.9, color=color, linestyle=":", linewidth=0.8, alpha=0.5)
    lines = plot_layer_lines(run, values, ax)
    remark(ax, title, remarks_on(run, values))
    ax.set_ylabel("similarity (linear CKA)")
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
    frame_training(run, ax)
    legend(run, values, ax)
    return lines
