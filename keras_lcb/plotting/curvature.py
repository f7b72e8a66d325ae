"""The figure of how curved the loss is along each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from keras_lcb.plotting.along_training import remark
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import depths, is_dark, layer_colors, new_axes, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

WHOLE = "(all)"
_MOST_NAMES = 16
_MOST_STEPS = 3
_SMALLER = 0.55  # relative size of the markers of eigenvalues after the largest


def _showing(run: xr.Dataset) -> str:
    layers = run.isel(layer=np.flatnonzero(run["layer"].values != WHOLE))
    least, most = least_and_most(layers["eigenvalue"].isel(rank=0))
    return (
        "Chart: the largest eigenvalue of each layer's block of the Hessian, by depth, on a "
        f"logarithmic axis. Least: {least}; most: {most}."
    )


@figure(
    needs=("eigenvalue", "residual", "layer", "rank"),
    recorded_by="keras_lcb.LayerSharpness(x, y), or measure it with "
    "keras_lcb.landscape.curvature(model, x, y)",
    place=9,
    reading="The larger the eigenvalue, the more the loss curves if that layer alone moves, and "
    "the smaller the largest stable learning rate of the layer.",
    showing=_showing,
    shows=("eigenvalue", "smallest_eigenvalue", "scaled_eigenvalue", "residual"),
)
def plot_curvature(run: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Plots the eigenvalues of each layer's block of the Hessian by depth, on a logarithmic axis.

    Large filled circles are the largest eigenvalues, smaller circles the next ones. A hollow
    triangle marks the absolute value of the smallest eigenvalue if it is negative. Bars show how
    far an eigenvalue may be from its estimate, according to the residual. A dashed line is the
    whole model, if it was measured. Of a run along training, the first, the middle and the last
    record are drawn, each as a line over depth. Of runs stacked over seeds, the median is drawn,
    with bars from the lowest to the highest value.

    Args:
        run: What `landscape.curvature` returns, or a run of `LayerSharpness`.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` through the largest eigenvalues for each record drawn.

    Raises:
        ValueError: If the run holds no eigenvalues.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> first, middle, last = plot_curvature(example_run())
    >>> last.get_label()
    'step 100'
    """
    ax = new_axes(ax)
    layers = run.isel(layer=np.flatnonzero(run["layer"].values != WHOLE))
    layers = layers.isel(layer=np.argsort(depths(layers), kind="stable"))
    ax.set_yscale("log")
    if "step" in run.dims:
        lines = _along_training(layers, ax)
    else:
        lines = [_one_time(layers, ax)]
        _whole(run, ax)
    remark(ax, "Curvature of each layer's block of the Hessian", _remarks(run, layers))
    _name_layers(layers, ax)
    ax.set_ylabel("eigenvalue")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small", frameon=False, loc="best")
    return lines


def _one_time(layers: xr.Dataset, ax: Axes) -> Line2D:
    """Draws all eigenvalues of each layer, in the layer's colour."""
    places = np.arange(layers.sizes["layer"])
    plain = ax.xaxis.label.get_color()
    colors = layer_colors(layers, is_dark(ax))
    low, middle, high = _spread(layers)
    ranks = layers.sizes["rank"]
    for rank in reversed(range(ranks)):
        size = matplotlib.rcParams["lines.markersize"] * (1.0 if rank == 0 else _SMALLER)
        for place, color in enumerate(colors):
            value = _positive(middle[place, rank])
            bar = np.array([[value - low[place, rank]], [high[place, rank] - value]])
            bar = np.where(np.isfinite(bar), np.maximum(bar, 0.0), 0.0)
            ax.errorbar(place, value, bar, fmt="o", color=color, markersize=size, zorder=3)
    (line,) = ax.plot(
        places, _positive(middle[:, 0]), color=plain, linewidth=0.8, alpha=0.5, label="largest"
    )
    if ranks > 1:
        small = _SMALLER * matplotlib.rcParams["lines.markersize"]
        label = f"further, down to rank {ranks}"
        ax.plot([], [], "o", color=plain, markersize=small, alpha=0.5, label=label)
    _smallest(layers, places, ax)
    return line


def _smallest(layers: xr.Dataset, places: np.ndarray, ax: Axes) -> None:
    """Draws the absolute values of those smallest eigenvalues that are negative."""
    if "smallest_eigenvalue" not in layers:
        return
    smallest = layers["smallest_eigenvalue"]
    magnitude = _positive(-(smallest.median("seed") if "seed" in smallest.dims else smallest))
    if np.isfinite(magnitude).any():
        ax.plot(
            places,
            magnitude,
            linestyle="",
            marker="v",
            markerfacecolor="none",
            color=ax.xaxis.label.get_color(),
            alpha=0.8,
            label="−smallest, where negative",
        )


def _along_training(layers: xr.Dataset, ax: Axes) -> list[Line2D]:
    """Draws the largest eigenvalues at the first, the middle and the last record with values."""
    values = layers["eigenvalue"].transpose("step", ...).values
    known = np.flatnonzero(np.isfinite(values).reshape(len(values), -1).any(axis=1))
    if not known.size:
        return []
    chosen = known[np.unique(np.linspace(0, len(known) - 1, _MOST_STEPS).round().astype(int))]
    start, stop = (0.35, 1.0) if is_dark(ax) else (0.75, 0.0)
    tones = matplotlib.colormaps["viridis"](np.linspace(start, stop, len(chosen)))
    places = np.arange(layers.sizes["layer"])
    lines = []
    for index, tone in zip(chosen, tones, strict=True):
        now = layers.isel(step=index)
        low, middle, high = (part[:, 0] for part in _spread(now))
        label = f"step {int(now['step']):,}"
        (line,) = ax.plot(places, _positive(middle), "o-", color=to_hex(tone), label=label)
        ax.fill_between(
            places, _positive(low), _positive(high), color=line.get_color(), alpha=0.15, linewidth=0
        )
        lines.append(line)
    return lines


def _spread(layers: xr.Dataset) -> tuple[Any, Any, Any]:
    """Returns lowest, middle and highest eigenvalues (layer, rank).

    With seeds, this is their range. Otherwise, it is the range that the residuals allow.
    """
    values = layers["eigenvalue"].transpose(..., "layer", "rank")
    if "seed" in values.dims:
        return values.min("seed").values, values.median("seed").values, values.max("seed").values
    error = abs(values) * layers["residual"].transpose("layer", "rank")
    return (values - error).values, values.values, (values + error).values


def _whole(run: xr.Dataset, ax: Axes) -> None:
    if WHOLE not in run["layer"].values:
        return
    value = float(run["eigenvalue"].sel(layer=WHOLE).isel(rank=0).median())
    if value > 0:
        ax.axhline(
            value,
            color=ax.xaxis.label.get_color(),
            linestyle="--",
            linewidth=1,
            label=f"whole model: {value:.3g}",
        )


def _positive(values: Any) -> Any:
    """Returns the values with NaN for those that a logarithmic axis cannot show."""
    values = np.asarray(values, dtype=float)
    return np.where(values > 0, values, np.nan)


def _name_layers(layers: xr.Dataset, ax: Axes) -> None:
    names = [short_name(str(name)) for name in layers["layer"].values]
    count = len(names)
    ax.set_xlim(-0.6, count - 0.4)
    stride = -(-count // _MOST_NAMES)
    shown = range(0, count, stride)
    ax.set_xticks(list(shown), [names[place] for place in shown], parse_math=False)
    ax.tick_params(axis="x", labelsize="small")
    if sum(map(len, names)) > 50:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    ax.set_xlabel("layer, in the order of calls")


def _remarks(run: xr.Dataset, layers: xr.Dataset) -> list[str]:
    remarks = []
    if run.attrs.get("provisional"):
        remarks.append("Provisional: training was not over when this was recorded.")
    mode = run.attrs.get("mode")
    worst = float(run["residual"].max())
    if np.isfinite(worst):
        said = f"Residuals up to {worst:.1g} of the eigenvalue."
        remarks.append(f"Measured in {mode} mode. {said}" if mode else said)
    if "seed" in run["eigenvalue"].dims:
        remarks.append(
            f"Median of {run['eigenvalue'].sizes['seed']} seeds, with bars from the lowest to the "
            "highest."
        )
    largest = layers["eigenvalue"].isel(rank=0)
    largest = largest.median("seed") if "seed" in largest.dims else largest
    over = [dim for dim in largest.dims if dim != "layer"]
    never = layers["layer"].values[~(largest > 0).any(over).values]
    if never.size:
        named = ", ".join(map(short_name, map(str, never[:3])))
        what = "they have no positive eigenvalue"
        if "seed" in run["eigenvalue"].dims:
            what = "the median of their largest eigenvalues is not positive"
        more = f" and {never.size - 3} more" if never.size > 3 else ""
        remarks.append(f"Not drawn, since {what}: {named}{more}.")
    return remarks
