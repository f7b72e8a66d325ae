"""Draws layers against updates as a map of colours, for more layers than lines can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from keras_lcb.plotting.style import axis_label, depths, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

_MOST_NAMES = 12


def draw_layer_map(
    run: xr.Dataset, values: xr.DataArray, ax: Axes, *, logarithmic: bool, label: str = ""
) -> QuadMesh:
    """Draws a row of colours for each layer, shallow at the bottom, updates to the right.

    Without any value, the map is empty, with its axes and names of rows.

    Args:
        run: The run, for the layers' depths.
        values: What to draw, over `step` and `layer`.
        ax: Where to draw.
        logarithmic: Whether colours follow the logarithm of the values.
        label: The label of the colour bar. Defaults to the values' own description.

    Returns:
        The map.
    """
    rows = values.transpose("layer", "step").isel(layer=np.argsort(depths(run), kind="stable"))
    known = rows.dropna("step", how="all")  # records of other callbacks would leave gaps
    rows = known if known.sizes["step"] else rows
    corners = edges(rows["step"].values), np.arange(rows.sizes["layer"] + 1)
    finite = rows.values[np.isfinite(rows.values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    scale = LogNorm(low, max(high, low * 1.01)) if logarithmic and low > 0 else Normalize(low, high)
    # Rasterized, since an SVG with one element for each cell would be too large.
    mesh = ax.pcolormesh(*corners, rows.values, norm=scale, cmap="viridis", rasterized=True)
    ax.figure.colorbar(mesh, ax=ax, pad=0.02, label=label or axis_label(values))
    name_rows(rows["layer"].values, ax)
    ax.set_ylabel("layer, shallow at the bottom")
    return mesh


def name_rows(names: np.ndarray, ax: Axes) -> None:
    """Writes the names of a map's rows beside it, as many as there is room for."""
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), _MOST_NAMES)).round())
    places = shown.astype(int)
    short = [short_name(str(names[place])) for place in places]
    ax.set_yticks(places + 0.5, short, fontsize="small", parse_math=False)


def edges(steps: np.ndarray) -> np.ndarray:
    """Returns the borders of the records' cells, half-way between neighbouring records."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[steps[0]], between, [steps[-1]]])
