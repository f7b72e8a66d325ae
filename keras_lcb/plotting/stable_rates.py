"""The figure of the largest stable learning rate of each layer, and what theory expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from keras_lcb.plotting.along_training import remark
from keras_lcb.plotting.style import depths, is_dark, layer_colors, new_axes, short_name
from keras_lcb.runs.received import check_run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer


def plot_stable_rates(run: xr.Dataset, ax: Axes | None = None) -> BarContainer:
    """Plots the largest stable learning rate of each layer as a bar, with a mark for 2 / λ_max.

    The axis is logarithmic, and shallow layers are on the left. Of datasets stacked over `seed`,
    the bar is the geometric mean, with a small point for each seed.

    Args:
        run: What `landscape.largest_stable_learning_rate` returns.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        The bars, a `matplotlib.container.BarContainer` in the order of the layers. A bar's height
        is NaN if no rate was found.

    Raises:
        ValueError: If the run holds no stable learning rates.

    Example:
    >>> from keras_lcb.runs import schema
    >>> names, values = ("learning_rate", "lower", "upper"), (("layer",), [0.5, 0.1])
    >>> run = schema.dataset({name: values for name in names}, {"layer": ["a", "b"]})
    >>> len(plot_stable_rates(run))
    2
    """
    check_run(run)
    if "learning_rate" not in run or "layer" not in run["learning_rate"].dims:
        raise ValueError(
            "The run holds no learning_rate of each layer. Compute it with "
            "keras_lcb.landscape.largest_stable_learning_rate(model, x, y)."
        )
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
    return np.exp(logarithm.mean("seed").values)  # over the seeds in which a rate was found


def _remarks(found: xr.Dataset) -> list[str]:
    rate = found["learning_rate"]
    said = [f"Geometric mean of {rate.sizes['seed']} seeds."] if "seed" in rate.dims else []
    known = (rate.expand_dims("seed") if "seed" not in rate.dims else rate).notnull()
    never, always = ~known.any("seed").values, known.all("seed").values
    for found_in, layers in (("No", never), ("In some seeds, no", ~always & ~never)):
        absent = [short_name(str(name)) for name in rate["layer"].values[layers]]
        if absent:
            said.append(f"{found_in} limit was found for: {', '.join(absent)}.")
    return said
