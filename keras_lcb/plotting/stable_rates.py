"""The largest learning rate that each layer bears, beside what theory expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from keras_lcb.plotting.along_training import remark
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import depths, is_dark, layer_colors, new_axes, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer


def _showing(run: xr.Dataset) -> str:
    least, most = least_and_most(run["learning_rate"])
    return (
        "Bar chart: the largest stable learning rate of each layer, by depth, on a logarithmic "
        f"axis. Least: {least}; most: {most}."
    )


@figure(
    needs=("lower", "upper"),
    recorded_by="keras_lcb.landscape.largest_stable_learning_rate(model, x, y)",
    place=10,
    reading="The taller the bar, the larger the steps that the layer bears when it alone moves.",
    showing=_showing,
    shows=("learning_rate", "lower", "upper", "theory"),
)
def plot_stable_rates(run: xr.Dataset, ax: Axes | None = None) -> BarContainer:
    """Plots the largest stable learning rate of each layer as a bar, with a mark for 2 / λ_max.

    Bars stand on a logarithmic axis, shallow to the left. Datasets stacked over `seed` have the
    geometric mean as their bar, and a small point for each seed.

    Args:
        run: What `landscape.largest_stable_learning_rate` returns.
        ax: Where to draw; a new pyplot figure by default.

    Returns:
        The bars, a `matplotlib.container.BarContainer` in the order of the layers; of height NaN
        where no rate was found.

    Raises:
        ValueError: If there are no rates by layer.

    Example:
    >>> from keras_lcb.runs import schema
    >>> names, values = ("learning_rate", "lower", "upper"), (("layer",), [0.5, 0.1])
    >>> run = schema.dataset({name: values for name in names}, {"layer": ["a", "b"]})
    >>> len(plot_stable_rates(run))
    2
    """
    ax = new_axes(ax)
    ink = ax.xaxis.label.get_color()
    places = np.argsort(np.argsort(depths(run), kind="stable"))
    rate = run["learning_rate"]
    ax.set_yscale("log")
    bars = ax.bar(places, _middle(rate), color=layer_colors(run, is_dark(ax)), alpha=0.75)
    if "seed" in rate.dims:
        for own in rate.transpose("seed", "layer").values:
            ax.plot(places, own, ".", color=ink, alpha=0.5, markersize=4)
    theory = _middle(run["theory"]) if "theory" in run else np.full(len(places), np.nan)
    if np.isfinite(theory).any():
        ax.plot(places, theory, "_", color=ink, markersize=18, markeredgewidth=2)
        mark = Line2D([], [], color=ink, marker="_", linestyle="", markersize=12)
        ax.legend([mark], ["2 / largest eigenvalue"], fontsize="small", frameon=False)
    names = [short_name(str(name)) for name in run["layer"].values]
    ax.set_xticks(places, names, rotation=30, ha="right", parse_math=False)
    remark(ax, "Largest stable learning rate of each layer, moved alone", _remarks(run))
    ax.set_ylabel("largest stable learning rate")
    return bars


def _middle(values: xr.DataArray) -> np.ndarray:
    if "seed" not in values.dims:
        return values.values
    logarithm = values.copy(data=np.log(values.values))
    return np.exp(logarithm.mean("seed").values)  # of the seeds in which there is one


def _remarks(found: xr.Dataset) -> list[str]:
    rate = found["learning_rate"]
    said = [f"Geometric mean of {rate.sizes['seed']} seeds."] if "seed" in rate.dims else []
    known = (rate.expand_dims("seed") if "seed" not in rate.dims else rate).notnull()
    never, always = ~known.any("seed").values, known.all("seed").values
    for found_in, layers in (("No", never), ("In some of them no", ~always & ~never)):
        absent = [short_name(str(name)) for name in rate["layer"].values[layers]]
        if absent:
            said.append(f"{found_in} limit was found for: {', '.join(absent)}.")
    return said
