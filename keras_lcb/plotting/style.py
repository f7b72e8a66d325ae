"""How figures look: colours by depth, line styles by role, names short enough for a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgba

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

# Pass these to `matplotlib.rc_context` for figures on a projector.
PROJECTOR = {
    "figure.figsize": (12.8, 7.2),
    "font.size": 16,
    "lines.linewidth": 3,
    "lines.markersize": 11,
    "axes.linewidth": 1.5,
}

# Plasma grows lighter along its whole length, also for colour-blind readers. These parts of it
# have a contrast of at least 3 : 1 to their background (WCAG 2.1, 1.4.11).
_ON_WHITE = (0.0, 0.64)
_ON_DARK = (0.42, 1.0)

# Layers that are not hidden have thinner, broken lines, since comparisons often leave them out.
ROLES = {
    "hidden": ("solid", 1.0),
    "head": ((0, (6, 1.5, 1.5, 1.5)), 0.6),
    "normalization": ((0, (1.5, 1.5)), 0.6),
    "embedding": ((0, (4, 2)), 0.6),
}
ROLE_NAMES = {"head": "head (feeds an output)"}
PROVISIONAL = (0, (3, 1))


def depth_colors(count: int, dark: bool = False) -> list[str]:
    """Returns a colour for each layer, from shallow to deep, as hexadecimal text.

    Args:
        count: The number of layers.
        dark: Whether the background is dark. Defaults to `False`.

    Returns:
        `count` colours of increasing lightness.

    Example:
        >>> depth_colors(3)
        ['#0d0887', '#9613a1', '#e87059']
    """
    colormap = matplotlib.colormaps["plasma"]
    start, stop = _ON_DARK if dark else _ON_WHITE
    return [to_hex(colormap(place)) for place in np.linspace(start, stop, count)]


def layer_colors(run: xr.Dataset, dark: bool = False) -> list[str]:
    """Returns the colour of each layer of `run`, in the run's order, by its depth."""
    ranks = np.argsort(np.argsort(depths(run), kind="stable"))
    colors = depth_colors(len(ranks), dark)
    return [colors[rank] for rank in ranks]


def depths(run: xr.Dataset) -> np.ndarray:
    """Returns the depth of each layer; its index if the run holds no depths."""
    return run["depth"].values if "depth" in run.coords else np.arange(run.sizes["layer"])


def roles(run: xr.Dataset) -> list[str]:
    """Returns the role of each layer; `"hidden"` if the run holds no roles."""
    if "role" not in run.coords:
        return ["hidden"] * run.sizes["layer"]
    return [str(role) for role in run["role"].values]


def short_name(name: str, limit: int = 24) -> str:
    """Returns a layer's name in a form that is short enough for a figure.

    If the path is too long, its parts are shortened from the left to their first letter and their
    number, which usually tells layers apart. If it is still too long, its middle is left out.

    Args:
        name: The name, a path with "/".
        limit: The largest number of characters. Defaults to 24.

    Example:
        >>> short_name("encoder/stage3/block12/bottleneck/conv2")
        'e/s3/b12/b/conv2'
    """
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    parts = name.split("/")
    for index, part in enumerate(parts[:-1]):
        if len("/".join(parts)) > limit:
            parts[index] = part[:1] + part[len(part.rstrip("0123456789")) :]
    name = "/".join(parts)
    if len(name) <= limit:
        return name
    head = limit // 2
    return f"{name[:head]}…{name[head + 1 - limit :]}"


def axis_label(quantity: xr.DataArray) -> str:
    """Returns an axis label with a quantity's description and units."""
    meaning = quantity.attrs.get("long_name", str(quantity.name))
    units = quantity.attrs.get("units", "1")
    return meaning if units == "1" or units in meaning.split() else f"{meaning} ({units})"


def new_axes(ax: Axes | None) -> Axes:
    """Returns `ax`; if it is `None`, the axes of a new pyplot figure, which notebooks show.

    Raises:
        ValueError: If `ax` is something else, such as an array of axes.
    """
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return ax
    if ax is not None:
        raise ValueError(
            f"`ax` must be one Matplotlib Axes; received {type(ax).__name__}. Of several axes, "
            "pass one, such as axes[0]."
        )
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def is_dark(ax: Axes) -> bool:
    """Returns whether the background of `ax` is dark."""
    for color in (ax.get_facecolor(), ax.figure.get_facecolor()):
        red, green, blue, alpha = to_rgba(color)
        if alpha > 0.5:
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.4
    return False
