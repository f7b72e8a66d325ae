"""Draws layers along training: as lines, or as a map if there are too many for lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

from keras_lcb.analysis.records import first_nonfinite_update, over_seeds
from keras_lcb.plotting.labels import Anchor
from keras_lcb.plotting.layer_lines import MOST_LABELLED, draw_layer_lines, legend
from keras_lcb.plotting.layer_map import draw_layer_map
from keras_lcb.plotting.style import axis_label, short_name
from keras_lcb.runs.received import check_dimensions

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
    """Draws a quantity of each layer along training, with title, remarks, labels and legend.

    Up to `MOST_LINES` layers are drawn as lines, more as a map. The scale is logarithmic if the
    y-axis of `ax` is. It then leaves out what is not positive, after the mean over seeds is taken.

    Args:
        run: The run.
        values: The values to draw, over `step`, `layer` and optionally `seed`.
        ax: Where to draw.
        title: The title.
        remarks: Sentences beneath the title, before those that every figure has.
        label: The label of the values. Defaults to their own description.
        margin: Half the width of a band around each line, of the shape of `values`.
        margin_label: What the band means.
        named_at: A function that returns where a line gets its name. Defaults to its right end.

    Returns:
        One line for each layer in the order of the run, or the map.
    """
    check_dimensions(run, "step")
    label = label or axis_label(values)
    artists: list[Artist] = []
    logarithmic = ax.get_yscale() == "log"
    if is_map(run):
        ax.set_yscale("linear")
        middle = over_seeds(values)[1]
        middle = middle.where(middle > 0) if logarithmic else middle
        artists.append(draw_layer_map(run, middle, ax, logarithmic=logarithmic, label=label))
    else:
        artists += draw_layer_lines(run, values, ax, margin, named_at)
        ax.set_ylabel(label)
        legend(run, values, ax, margin_label if margin is not None else None)
    shown = values.where(values > 0) if logarithmic else values
    remark(ax, title, [*remarks, *remarks_on(run, shown)])
    frame_training(run, ax)
    return artists


def is_map(run: xr.Dataset) -> bool:
    """Returns whether a run has more layers than lines can show."""
    check_dimensions(run, "layer")
    return run.sizes["layer"] > MOST_LINES


def how_to_read(run: xr.Dataset, lines: str, cells: str, named: str = "at its end") -> str:
    """Returns how to read a figure of layers that is drawn by `draw_layers`.

    Args:
        run: The run.
        lines: How to read a line.
        cells: How to read a row of the map.
        named: Where a line has its name. Defaults to "at its end".
    """
    if is_map(run):
        return f"{cells} A row is a layer, shallow at the bottom."
    if run.sizes["layer"] > MOST_LABELLED:
        return f"{lines} The colour bar names the layers by depth, shallow at the top."
    return f"{lines} Each line has its name {named}."


def remark(ax: Axes, title: str, remarks: Sequence[str]) -> None:
    """Sets the title, and remarks in small print beneath it."""
    points = ax.get_window_extent().width / ax.figure.dpi * 72
    size = _points("small")
    heading = _wrapped(title, points, _points(matplotlib.rcParams["axes.titlesize"]))
    lines = [line for text in remarks for line in _wrapped(text, points, size)]
    ax.set_title("\n".join(heading), loc="left", pad=6 + 1.35 * size * len(lines))
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


def _points(size: str | float) -> float:
    """Returns a font size, such as "small", in points."""
    return matplotlib.font_manager.FontProperties(size=size).get_size_in_points()


def _wrapped(text: str, points: float, size: float) -> list[str]:
    """Breaks a text into lines that fit into a width; a letter is about 0.55 em wide."""
    return textwrap.wrap(text, max(30, int(points / (0.55 * size))))


def frame_training(run: xr.Dataset, ax: Axes) -> None:
    """Makes the x-axis show the whole training, and marks where it became NaN or infinite."""
    label = axis_label(run["step"])
    start, stop = float(run["step"].min()), float(run["step"].max())
    room = 0.02 * max(1.0, stop - start)
    ax.set(xlabel=label, xlim=(start - room, stop + room))
    first = first_nonfinite_update(run)
    if first is not None:
        ax.axvspan(first, stop + room, color="tab:red", alpha=0.1, linewidth=0)
        ax.axvline(first, color="tab:red", linestyle=":")


def remarks_on(run: xr.Dataset, values: xr.DataArray) -> list[str]:
    """Returns the remarks that every figure of these values has beneath its title."""
    remarks = []
    if run.attrs.get("provisional"):
        remarks.append("Provisional: training was not over when this was recorded.")
    first = first_nonfinite_update(run)
    if first is not None:
        remarks.append(f"Values are NaN or infinite from update {first:,} on.")
    remarks += mean_of_seeds(values)
    absent, apart = _without(values), _without(over_seeds(values)[1])
    if absent:
        remarks.append(f"Not drawn, since they have no values: {_few(absent)}.")
    if apart := [name for name in apart if name not in absent]:
        remarks.append(f"Not drawn, since no update is within the records of all: {_few(apart)}.")
    return remarks


def mean_of_seeds(values: xr.DataArray) -> list[str]:
    """Returns the remark of how many seeds a mean is over; none for values without seeds."""
    if "seed" not in values.dims:
        return []
    count = values.sizes["seed"]
    known = int(values.notnull().any([dim for dim in values.dims if dim != "seed"]).sum())
    if known == count:
        return [f"Mean of {count} seeds."]
    return [f"Mean of {known} of {count} seeds; the others have no values."]


def _without(values: xr.DataArray) -> list[str]:
    """Returns the layers without a finite value."""
    return [
        short_name(str(name))
        for place, name in enumerate(values["layer"].values if "layer" in values.dims else ())
        if not np.isfinite(values.isel(layer=place)).any()
    ]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
