"""One line a layer along training: what figures of that kind share."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from keras_lcb.plotting.labels import LineEndLabels
from keras_lcb.plotting.style import (
    PROVISIONAL,
    ROLE_NAMES,
    ROLES,
    axis_label,
    depths,
    is_dark,
    layer_colors,
    roles,
    short_name,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MOST_LABELLED = 12


def plot_layer_lines(
    run: xr.Dataset, values: xr.DataArray, ax: Axes, margin: xr.DataArray | None = None
) -> list[Line2D]:
    """Draw one line a layer: colour by depth, style by role, name at its end.

    Runs stacked over seeds are drawn as their mean, with a band from the lowest to the highest.
    Beyond `MOST_LABELLED` lines, a key of the colours takes the place of names.

    Args:
        run: The run, for the layers' depths and roles and for what is to be remarked.
        values: What to draw over `step`, `layer` and perhaps `seed`.
        ax: Where to draw.
        margin: Half the width of a band around each line, shaped like `values`.

    Returns:
        One line a layer, in the order of the run; a layer without finite values has an empty one.
    """
    low, middle, high = over_seeds(values)
    if margin is not None:
        low, high = values - margin, values + margin
    lines = []
    for index, color in enumerate(layer_colors(run, is_dark(ax))):
        line = _line(run, middle.isel(layer=index), color, index, ax)
        if margin is not None or "seed" in values.dims:
            _band(low.isel(layer=index), high.isel(layer=index), line, ax)
        lines.append(line)
    _name_lines(run, lines, ax)
    return lines


def over_seeds(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Return the lowest, the mean and the highest over seeds; thrice the same without seeds."""
    if "seed" not in values.dims:
        return values, values, values
    return values.min("seed"), values.mean("seed"), values.max("seed")


def remark(ax: Axes, title: str, remarks: Sequence[str]) -> None:
    """Set the title and, small beneath it, what the reader has to know of the figure."""
    size = matplotlib.font_manager.FontProperties(size="small").get_size_in_points()
    points = ax.get_window_extent().width / ax.figure.dpi * 72
    width = max(30, int(points / (0.55 * size)))  # 0.55 em is a letter's width, give or take
    lines = [line for text in remarks for line in textwrap.wrap(text, width)]
    ax.set_title(title, loc="left", pad=6 + 1.35 * size * len(lines))
    if lines:
        ax.annotate(
            "\n".join(lines),
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, 4),
            textcoords="offset points",
            fontsize="small",
            alpha=0.8,
            parse_math=False,
        )


def first_nonfinite_update(run: xr.Dataset) -> int | None:
    """Return the update at which NaN or infinity came up first; runs say -1 for never."""
    first = int(run.attrs.get("first_nonfinite_update", -1))
    return first if first >= 0 else None


def frame_training(run: xr.Dataset, ax: Axes) -> None:
    """Show the whole of training, and mark from which update on it was NaN or infinite."""
    label = axis_label(run["step"])
    start, stop = float(run["step"].min()), float(run["step"].max())
    room = 0.02 * max(1.0, stop - start)
    ax.set(xlabel=label, xlim=(start - room, stop + room))
    first = first_nonfinite_update(run)
    if first is not None:
        ax.axvspan(first, stop + room, color="tab:red", alpha=0.1, linewidth=0)
        ax.axvline(first, color="tab:red", linestyle=":")


def legend(run: xr.Dataset, values: xr.DataArray, ax: Axes, margin: str | None = None) -> None:
    """Say which line styles and bands stand for what, where there is more than one kind."""
    color = ax.xaxis.label.get_color()
    present = [role for role in ROLES if role in roles(run)]
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=color, label=ROLE_NAMES.get(role, role), **_style(role, run))
        for role in present
        if present != ["hidden"]
    ]
    if "seed" in values.dims:
        margin = f"lowest to highest of {values.sizes['seed']} seeds"
    if margin is not None:
        handles.append(Patch(color=color, alpha=0.2, linewidth=0, label=margin))
    if handles:
        ax.legend(handles=handles, fontsize="small", frameon=False, loc="best", handlelength=3)


def remarks_on(run: xr.Dataset, values: xr.DataArray) -> list[str]:
    """Return what every figure of these values has to say beneath its title."""
    remarks = []
    if run.attrs.get("provisional"):
        remarks.append("Provisional: training was not over when this was recorded.")
    first = first_nonfinite_update(run)
    if first is not None:
        remarks.append(f"NaN or infinity from update {first:,} on.")
    if "seed" in values.dims:
        remarks.append(f"Mean of {values.sizes['seed']} seeds.")
    absent = [
        short_name(str(name))
        for name in (values["layer"].values if "layer" in values.dims else ())
        if not np.isfinite(values.sel(layer=name)).any()
    ]
    if absent:
        named = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if absent[3:] else "")
        remarks.append(f"Not drawn, since nothing could be measured: {named}.")
    return remarks


def _style(role: str, run: xr.Dataset) -> dict:
    dashes, width = ROLES.get(role, ROLES["hidden"])
    if role == "hidden" and run.attrs.get("provisional"):
        dashes = PROVISIONAL
    return {"linestyle": dashes, "linewidth": width * matplotlib.rcParams["lines.linewidth"]}


def _line(run: xr.Dataset, values: xr.DataArray, color: str, index: int, ax: Axes) -> Line2D:
    finite = np.isfinite(values.values)
    steps, drawn = values["step"].values[finite], values.values[finite]
    name = str(run["layer"].values[index])
    (line,) = ax.plot(steps, drawn, color=color, label=name, **_style(roles(run)[index], run))
    return line


def _band(low: xr.DataArray, high: xr.DataArray, line: Line2D, ax: Axes) -> None:
    finite = np.isfinite(low.values) & np.isfinite(high.values)
    steps, ends = low["step"].values[finite], (low.values[finite], high.values[finite])
    ax.fill_between(steps, *ends, color=line.get_color(), alpha=0.15, linewidth=0)


def _name_lines(run: xr.Dataset, lines: Sequence[Line2D], ax: Axes) -> None:
    order = np.argsort(depths(run), kind="stable")
    drawn = [lines[index] for index in order if len(lines[index].get_xdata())]
    if len(drawn) <= MOST_LABELLED:
        LineEndLabels(ax, drawn)
    else:
        names = [str(line.get_label()) for line in drawn]
        depth_key(ax, names, [str(line.get_color()) for line in drawn])


def depth_key(ax: Axes, names: Sequence[str], colors: Sequence[str]) -> Axes:
    """Draw a key of the colours beside `ax`, shallow at the top, with as many names as fit."""
    key = ax.inset_axes((1.025, 0, 0.03, 1))
    count = len(names)
    key.barh(range(count), 1, height=1, color=colors)
    key.set(xlim=(0, 1), ylim=(count - 0.5, -0.5), xticks=[])
    height = ax.get_window_extent().height / ax.figure.dpi * 72
    size = matplotlib.font_manager.FontProperties(size="small").get_size_in_points()
    stride = int(np.ceil(count * 1.8 * size / height))
    places = np.append(np.arange(0, count - 1 - stride / 2, stride, dtype=int), count - 1)
    key.yaxis.tick_right()
    key.set_yticks(places, [short_name(names[place]) for place in places], parse_math=False)
    key.tick_params(axis="y", labelsize="small", length=2)
    for spine in key.spines.values():
        spine.set_visible(False)
    return key
