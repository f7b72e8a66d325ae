"""Which layer carries which frequency: at a time, and along training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from keras_lcb.plotting.contributions import record_at
from keras_lcb.plotting.layer_lines import remark
from keras_lcb.plotting.style import axis_label, new_axes, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

_TITLES = {
    "frequency_share": "Share of each frequency that a layer adds to the output",
    "r2": "How well each layer's features carry each frequency (R²)",
}
_MOST_NUMBERS = 80


def plot_frequency_map(
    run: xr.Dataset, step: int | None = None, ax: Axes | None = None
) -> QuadMesh:
    """Plot layers against frequencies: the share that each carries, or R² in a plain network.

    Runs stacked over seeds have their mean.

    Args:
        run: A run with `frequency_share` or `r2`, as `FrequencyResponse` records it.
        step: The record to show, the nearest to this update; the last one by default. Of R²,
            the last probe up to then.
        ax: Where to draw; a new pyplot figure by default.

    Returns:
        The `matplotlib.collections.QuadMesh`, one row a layer, shallow at the bottom.

    Raises:
        ValueError: If the run holds neither.

    Example:
        >>> mesh = plot_frequency_map(run)  # doctest: +SKIP
        >>> mesh.get_array()  # doctest: +SKIP
    """
    values = carried(run)
    shown = record_at(values.to_dataset(name="values"), step)
    ax = new_axes(ax)
    mesh = draw_map(values, shown["values"], ax)
    if shown["values"].size <= _MOST_NUMBERS:
        _write_numbers(mesh, ax)
    said = [f"After {int(shown['step']):,} updates.", *_seeds(run)]
    remark(ax, _TITLES[str(values.name)], said)
    return mesh


def draw_map(values: xr.DataArray, at: xr.DataArray, ax: Axes) -> QuadMesh:
    """Draw one record of `carried(run)` in the colours that serve all of them."""
    cells = at.transpose("layer", "frequency")
    mesh = ax.pcolormesh(cells.values, **_scale(values))
    frequencies = [str(k) for k in cells["frequency"].values]
    ax.set_xticks(np.arange(len(frequencies)) + 0.5, frequencies)
    _name_layers(cells, ax)
    _key(mesh, ax)
    ax.set(xlabel="wave number", ylabel="layer, shallow at the bottom")
    return mesh


def plot_frequency_history(run: xr.Dataset, ax: Any = None) -> list[QuadMesh]:
    """Plot layers against time, one panel a frequency: the shares, or R² in a plain network.

    Args:
        run: A run with `frequency_share` or `r2`, as `FrequencyResponse` records it.
        ax: One axes a frequency; a new pyplot figure by default.

    Returns:
        One `matplotlib.collections.QuadMesh` a frequency, low to high.

    Raises:
        ValueError: If the run holds neither, or there are not as many axes as frequencies.

    Example:
        >>> meshes = plot_frequency_history(run)  # doctest: +SKIP
    """
    values = carried(run)
    count = values.sizes["frequency"]
    if ax is None:
        from matplotlib import pyplot

        size = (6.4, 1.2 + 1.3 * count)
        ax = pyplot.subplots(count, sharex=True, figsize=size, layout="constrained")[1]
    panels = np.ravel(ax)
    if len(panels) != count:
        raise ValueError(f"One axes a frequency is needed, {count} of them, got {len(panels)}.")
    meshes = []
    for place, panel in enumerate(panels):
        own = values.isel(frequency=place).transpose("layer", "step")
        corners = _edges(own["step"].values), np.arange(len(own) + 1)
        meshes.append(panel.pcolormesh(*corners, own.values, **_scale(values)))
        _name_layers(own, panel)
        panel.set_ylabel(f"k = {int(own['frequency'])}")
        _key(meshes[-1], panel)
    remark(panels[0], _TITLES[str(values.name)], _seeds(run))
    panels[-1].set_xlabel(axis_label(run["step"]))
    return meshes


def carried(run: xr.Dataset) -> xr.DataArray:
    """Return what each layer carries of each frequency, the mean over seeds.

    Layers that carry nothing of their own are left out, and R² holds from one probe to the next.

    Raises:
        ValueError: If the run does not hold it.
    """
    name = "frequency_share" if "frequency_share" in run else "r2"
    if name not in run:
        raise ValueError(
            "The run holds no shares of frequencies: record it with FrequencyResponse(x, "
            "target=target), or synthetic.run."
        )
    values = run[name]
    if name == "r2":
        known = values.notnull().any([dim for dim in values.dims if dim != "step"])
        values = values.isel(step=_last_known(known.values))
        values = values.assign_coords(step=run["step"])
    values = values.mean("seed", keep_attrs=True) if "seed" in values.dims else values
    own = values.notnull().any(["step", "frequency"])
    return values.isel(layer=own.values).rename(name)


def _last_known(known: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(np.where(known, np.arange(len(known)), 0))


def _scale(values: xr.DataArray) -> dict[str, Any]:
    if values.name == "r2":
        return {"cmap": "viridis", "norm": Normalize(0, 1)}
    # Where a network diverges, shares have no bounds worth showing.
    size = np.nanpercentile(abs(values.values), 99) if bool(values.notnull().any()) else 1.0
    largest = float(np.clip(size, 1.0, 4.0))
    return {"cmap": "RdBu_r", "norm": TwoSlopeNorm(0, -largest, largest)}


def _name_layers(cells: xr.DataArray, ax: Axes) -> None:
    names = [short_name(str(name)) for name in cells["layer"].values]
    stride = -(-len(names) // 12)
    places = np.arange(0, len(names), stride)
    ax.set_yticks(places + 0.5, names[::stride], fontsize="small", parse_math=False)


def _write_numbers(mesh: QuadMesh, ax: Axes) -> None:
    cells: np.ndarray = np.ma.filled(np.ma.asarray(mesh.get_array(), float), np.nan)
    for row, column in np.ndindex(cells.shape):
        if np.isfinite(cells[row, column]):
            red, green, blue, _ = mesh.cmap(mesh.norm(cells[row, column]))
            ink = "#101010" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45 else "white"
            place = (column + 0.5, row + 0.5)
            text = f"{cells[row, column]:.2f}"
            ax.annotate(text, place, ha="center", va="center", fontsize="small", color=ink)


def _key(mesh: QuadMesh, ax: Axes) -> None:
    extend = "min" if mesh.norm.vmin == 0 else "both"  # R² has no lower bound, shares have none
    ax.figure.colorbar(mesh, ax=ax, extend=extend, pad=0.02)


def _edges(steps: np.ndarray) -> np.ndarray:
    """Where each record's cell begins and ends: half-way to its neighbours."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[steps[0]], between, [steps[-1]]])


def _seeds(run: xr.Dataset) -> list[str]:
    return [f"Mean of {run.sizes['seed']} seeds."] if "seed" in run.dims else []
