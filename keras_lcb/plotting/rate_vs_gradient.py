"""The figure of whether layers with larger gradients converge faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from keras_lcb.analysis.compared import compared_layers, single_runs
from keras_lcb.analysis.comparison import Comparison, equal_layers
from keras_lcb.analysis.convergence import normalized_distance, time_to_fraction
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run
from keras_lcb.plotting.along_training import remark, remarks_on
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.labels import PointLabels
from keras_lcb.plotting.layer_lines import MOST_LABELLED, depth_key
from keras_lcb.plotting.style import depths, is_dark, layer_colors, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

# Largest over smallest norm up to which numbers stand between powers of ten, too.
_NEAR = 30


def _showing(run: xr.Dataset) -> str:
    return (
        "Scatter chart: one point a layer, its speed of convergence against its gradient norm. "
        f"Spearman's rank correlation over hidden layers {_compared(run).which}: "
        f"{gradient_rate_correlation(run)}."
    )


@figure(
    needs=("distance", "gradient_norm"),
    recorded_by="keras_lcb.LayerConvergence() and keras_lcb.GradientNorms()",
    place=4,
    reading="If large gradients made layers fast, points would rise from left to right.",
    showing=_showing,
)
def plot_rate_vs_gradient(run: xr.Dataset, ax: Axes | None = None) -> list[PathCollection]:
    """Plots the speed of convergence of each layer against its gradient norm.

    The speed is the reciprocal of the time to half the distance, or 0 for a layer that never came
    so far. The gradient norm is the root mean square over the run. Section 3 of Chen, Yuille and
    Zhou, "Which Layer is Learning Faster?" (ICLR 2023), claims no reliable positive correlation
    between the two. The rank correlation over hidden layers of equal shape is given beneath the
    title, see `analysis.gradient_rate_correlation`; the points of layers that it is not over are
    hollow. Of runs stacked over seeds, the mean is drawn, with a small point for each seed.

    Args:
        run: A run with `distance` and `gradient_norm`, recorded by `LayerConvergence` and
            `GradientNorms`.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        A list of one `matplotlib.collections.PathCollection` with one point for each layer, in the
        order of the run's layers; NaN for a layer without speed or norm. For stacked runs, the
        list also has a second one, with the points of all seeds.

    Raises:
        ValueError: If the run lacks distances or gradient norms.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> (points,) = plot_rate_vs_gradient(example_run(layers=3))
    >>> norms, speeds = points.get_offsets().T
    >>> len(speeds)
    3
    """
    norms, speeds = rms_over_run(run, "gradient_norm"), _speed(run)
    ax = new_axes(ax)
    ax.set_xscale("log")
    # Matplotlib's own labels overlap on a narrow axis.
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    shown = norms.values[norms.values > 0]
    if shown.size and shown.max() < _NEAR * shown.min():
        ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        ax.xaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    else:
        ax.xaxis.set_minor_formatter(NullFormatter())
    colors = layer_colors(run, is_dark(ax))
    compared = _compared(run)
    filled = [str(name) in compared.layers for name in run["layer"].values]
    points = _points(norms, speeds, colors, filled, ax)
    _name(run, points[0], colors, ax)
    if not all(filled) and any(filled):
        _legend(ax)
    ax.margins(0.12)
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))  # or a small difference would look large
    said = [*_correlation(run, compared), *remarks_on(run, speeds)]
    remark(ax, "Speed of convergence against gradient norm", said)
    ax.set(xlabel="RMS gradient norm over the run", ylabel="1 / updates to half the distance")
    return points


def _compared(run: xr.Dataset) -> Comparison:
    single = single_runs(run)
    return equal_layers(single[0], compared_layers(single, ("hidden",))[0])


def _speed(run: xr.Dataset) -> xr.DataArray:
    moved = normalized_distance(run).notnull().any("step")
    return (1 / time_to_fraction(run).fillna(np.inf)).where(moved)


def _points(
    norms: xr.DataArray, speeds: xr.DataArray, colors: list[str], filled: list[bool], ax: Axes
) -> list[PathCollection]:
    faces = [color if full else "none" for color, full in zip(colors, filled, strict=True)]
    norms = norms.where(norms > 0)
    if "seed" not in norms.dims:
        return [ax.scatter(norms, speeds, s=45, facecolors=faces, edgecolors=colors)]
    mean = ax.scatter(
        norms.mean("seed"), speeds.mean("seed"), 45, facecolors=faces, edgecolors=colors
    )
    return [
        mean,
        ax.scatter(
            norms.transpose("seed", "layer"),
            speeds.transpose("seed", "layer"),
            s=8,
            c=colors * norms.sizes["seed"],
            alpha=0.5,
            linewidths=0,
        ),
    ]


def _name(run: xr.Dataset, points: PathCollection, colors: list[str], ax: Axes) -> None:
    names = [str(name) for name in run["layer"].values]
    order = np.argsort(depths(run), kind="stable")
    if len(names) > MOST_LABELLED:
        depth_key(ax, [names[place] for place in order], [colors[place] for place in order])
    else:
        PointLabels(ax, points, names)


def _legend(ax: Axes) -> None:
    color = ax.xaxis.label.get_color()
    filled = Line2D([], [], color=color, marker="o", linestyle="", label="compared")
    hollow = Line2D(
        [], [], color=color, marker="o", linestyle="", fillstyle="none", label="not compared"
    )
    ax.legend(handles=[filled, hollow], fontsize="small", frameon=False, loc="best")


def _correlation(run: xr.Dataset, compared: Comparison) -> list[str]:
    found = gradient_rate_correlation(run)
    if np.isnan(found.spearman):
        return ["No rank correlation, which needs at least 3 hidden layers with different values."]
    over = f"{len(compared.layers)} hidden layers {compared.which}"
    return [f"Rank correlation (Spearman) over {over}: {found}."]
