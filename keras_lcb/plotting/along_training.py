"""Layers along training: as lines, or as a map where there are too many for lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

from keras_lcb.analysis.records import first_nonfinite_update, over_seeds
from keras_lcb.plotting.layer_lines import MOST_LABELLED, Anchor, draw_layer_lines, legend
from keras_lcb.plotting.layer_map import draw_layer_map
from keras_lcb.plotting.style import axis_label, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_LINES = 20


def draw_layers(
    run: xr.Dataset,
    values: xr.DataArray,
    ax: Axes,
    *,
    title: str,
    remarks: Sequence[str] = (),
    label: str = "",
    margin: xr.DataArray | None = None,
    margin_label: str | None = None,
    named_at: Anchor | None = None,
) -> list[Artist]:
    """Draws a quantity of each layer along training, with all that stands around it.

    Up to `MOST_LINES` layers are lines, more are a map. The scale is logarithmic where `ax` has
    been told so.

    Args:
        run: The run.
        values: What to draw, over `step`, `layer` and perhaps `seed`.
        ax: Where to draw.
        title: The title.
        remarks: What the reader has to know, beside what holds for every figure.
        label: What the values are; by default what they say of themselves.
        margin: Half the width of a band around each line, shaped like `values`.
        margin_label: What the band is.
        named_at: Where a line gets its name; its right end by default.

    Returns:
        One line a layer in the order of the run, or the map.
    """
    label = label or axis_label(values)
    artists: list[Artist] = []
    if is_map(run):
        logarithmic = ax.get_yscale() == "log"
        ax.set_yscale("linear")
        middle = over_seeds(values)[1]
        artists.append(draw_layer_map(run, middle, ax, logarithmic=logarithmic, label=label))
    else:
        artists += draw_layer_lines(run, values, ax, margin, named_at)
        ax.set_ylabel(label)
        legend(run, values, ax, margin_label if margin is not None else None)
    remark(ax, title, [*remarks, *remarks_on(run, values)])
    frame_training(run, ax)
    return artists


def is_map(run: xr.Dataset) -> bool:
    """Tells whether a run has more layers than lines can show."""
    return run.sizes["layer"] > MOST_LINES


def how_to_read(run: xr.Dataset, lines: str, cells: str, named: str = "at its end") -> str:
    """Returns how a figure of layers is to be read, whichever way it is drawn.

    Args:
        run: The run.
        lines: What a line says.
        cells: What a row of the map says.
        named: Where lines have their names.
    """
    if is_map(run):
        return f"{cells} A row is a layer, shallow at the bottom."
    if run.sizes["layer"] > MOST_LABELLED:
        return f"{lines} The bar of colours names the layers by depth, shallow at the top."
    return f"{lines} Each line has its name {named}."


def remark(ax: Axes, title: str, remarks: Sequence[str]) -> None:
    """Sets the title and, small beneath it, what the reader has to know of the figure."""
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


def frame_training(run: xr.Dataset, ax: Axes) -> None:
    """Shows the whole of training, and marks from which update on it was NaN or infinite."""
    label = axis_label(run["step"])
    start, stop = float(run["step"].min()), float(run["step"].max())
    room = 0.02 * max(1.0, stop - start)
    ax.set(xlabel=label, xlim=(start - room, stop + room))
    first = first_nonfinite_update(run)
    if first is not None:
        ax.axvspan(first, stop + room, color="tab:red", alpha=0.1, linewidth=0)
        ax.axvline(first, color="tab:red", linestyle=":")


def remarks_on(run: xr.Dataset, values: xr.DataArray) -> list[str]:
    """Returns what every figure of these values has to say beneath its title."""
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
