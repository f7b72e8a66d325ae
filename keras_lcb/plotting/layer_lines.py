"""Draws one line for each layer along training: colour by depth, style by role, and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from keras_lcb.analysis.records import over_seeds
from keras_lcb.plotting.labels import Anchor, LineLabels
from keras_lcb.plotting.style import (
    PROVISIONAL,
    ROLE_NAMES,
    ROLES,
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


def draw_layer_lines(
    run: xr.Dataset,
    values: xr.DataArray,
    ax: Axes,
    margin: xr.DataArray | None = None,
    named_at: Anchor | None = None,
) -> list[Line2D]:
    """Draws one line with its name for each layer: colour by depth, style by role.

    Of runs stacked over seeds, the mean is drawn, with a band from the lowest to the highest
    value. With more than `MOST_LABELLED` lines, a colour key replaces the names.

    Args:
        run: The run, which holds the depths and roles of the layers.
        values: The values to draw, over `step`, `layer` and optionally `seed`.
        ax: Where to draw.
        margin: Half the width of a band around each line, of the shape of `values`.
        named_at: A function that returns where a line gets its name. Defaults to its right end.

    Returns:
        One line for each layer, in the order of the run. A layer without finite values has an
        empty line.
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
    _name_lines(run, lines, ax, named_at)
    return lines


def legend(run: xr.Dataset, values: xr.DataArray, ax: Axes, margin: str | None = None) -> None:
    """Adds a legend of line styles and bands, if there is more than one kind."""
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


def _style(role: str, run: xr.Dataset) -> dict[str, Any]:
    dashes, width = ROLES.get(role, ROLES["hidden"])
    if role == "hidden" and run.attrs.get("provisional"):
        dashes = PROVISIONAL
    return {"linestyle": dashes, "linewidth": width * matplotlib.rcParams["lines.linewidth"]}


def _line(run: xr.Dataset, values: xr.DataArray, color: str, index: int, ax: Axes) -> Line2D:
    known = np.isfinite(values.values)
    if ax.get_yscale() == "log":
        known &= values.values > 0
    steps, drawn = values["step"].values[known], values.values[known]
    name = str(run["layer"].values[index])
    (line,) = ax.plot(steps, drawn, color=color, label=name, **_style(roles(run)[index], run))
    return line


def _band(low: xr.DataArray, high: xr.DataArray, line: Line2D, ax: Axes) -> None:
    finite = np.isfinite(low.values) & np.isfinite(high.values)
    steps, ends = low["step"].values[finite], (low.values[finite], high.values[finite])
    ax.fill_between(steps, *ends, color=line.get_color(), alpha=0.15, linewidth=0)


def _name_lines(
    run: xr.Dataset, lines: Sequence[Line2D], ax: Axes, named_at: Anchor | None
) -> None:
    order = np.argsort(depths(run), kind="stable")
    drawn = [lines[index] for index in order if len(lines[index].get_xdata())]
    if len(drawn) <= MOST_LABELLED:
        LineLabels(ax, drawn, named_at)
    else:
        names = [str(line.get_label()) for line in drawn]
        depth_key(ax, names, [str(line.get_color()) for line in drawn])


def depth_key(ax: Axes, names: Sequence[str], colors: Sequence[str]) -> Axes:
    """Draws a key of the colours beside `ax`, shallow at the top, with as many names as fit."""
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
