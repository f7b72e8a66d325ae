"""Figures of which layer carries which frequency: at one record, and along training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm

from keras_lcb.analysis.frequencies import carried
from keras_lcb.analysis.records import record_at
from keras_lcb.plotting.along_training import mean_of_seeds, remark
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.layer_map import edges, name_rows
from keras_lcb.plotting.style import axis_label, new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

_TITLES = {
    "frequency_share": "Share of each frequency that a layer adds to the output",
    "r2": "How well each layer's features carry each frequency (R²)",
}
_MOST_NUMBERS = 80


def _showing(run: xr.Dataset) -> str:
    last = shares_of(run)[0].isel(step=-1)
    carriers = [
        f"k = {int(k)}: {last['layer'][int(last.sel(frequency=k).argmax('layer'))].item()}"
        for k in last["frequency"].values
        if bool(last.sel(frequency=k).notnull().any())
    ]
    return (
        "Heat map: layers against wave numbers, at the end. The layer that carries most of each: "
        f"{', '.join(carriers)}."
    )


@figure(
    needs=("frequency", "frequency_error"),
    recorded_by="keras_lcb.FrequencyResponse(x, target=target)",
    place=7,
    reading="In a residual network, a cell shows what the layer adds to the output, as a share of "
    "the target at that wave number: 1 is all of it; a negative share works against it. In a plain "
    "network, a cell shows how well a linear function of the layer's features can give the "
    "target at that wave number (R²).",
    showing=_showing,
    shows=("frequency_share", "r2", "frequency_centroid"),
)
def plot_frequency_map(
    run: xr.Dataset, step: int | None = None, ax: Axes | None = None
) -> QuadMesh:
    """Plots layers against frequencies: the share that each carries, or R² in a plain network.

    Of runs stacked over seeds, the mean is drawn.

    Args:
        run: A run with `frequency_share` or `r2`, as `FrequencyResponse` records it.
        step: An update. The nearest record is shown. For R², this is the last value measured up to
            this record. Defaults to `None`: the last record.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        The `matplotlib.collections.QuadMesh`, one row a layer, shallow at the bottom.

    Raises:
        ValueError: If the run holds neither.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> mesh = plot_frequency_map(example_run(layers=3, frequencies=(1, 3)))
    >>> mesh.get_array().shape
    (3, 2)
    """
    values, said = shares_of(run)
    shown = record_at(values.to_dataset(name="values"), step)
    ax = new_axes(ax)
    mesh = draw_map(values, shown["values"], ax)
    if shown["values"].size <= _MOST_NUMBERS:
        _write_numbers(mesh, ax)
    remark(ax, _TITLES[str(values.name)], [f"After {int(shown['step']):,} updates.", *said])
    return mesh


def draw_map(values: xr.DataArray, at: xr.DataArray, ax: Axes) -> QuadMesh:
    """Draws one record of `carried(run)`, with the same colour scale for all records."""
    cells = at.transpose("layer", "frequency")
    mesh = ax.pcolormesh(cells.values, **_scale(values))
    frequencies = [str(k) for k in cells["frequency"].values]
    ax.set_xticks(np.arange(len(frequencies)) + 0.5, frequencies)
    name_rows(cells["layer"].values, ax)
    _key(mesh, ax)
    ax.set(xlabel="wave number", ylabel="layer, shallow at the bottom")
    return mesh


def plot_frequency_history(run: xr.Dataset, ax: Any = None) -> list[QuadMesh]:
    """Plots layers against time, one panel a frequency: the shares, or R² in a plain network.

    Args:
        run: A run with `frequency_share` or `r2`, as `FrequencyResponse` records it.
        ax: One axes for each frequency. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.collections.QuadMesh` a frequency, low to high.

    Raises:
        ValueError: If the run holds neither, or there are not as many axes as frequencies.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> len(plot_frequency_history(example_run(frequencies=(1, 3))))
    2
    """
    values, said = shares_of(run)
    count = values.sizes["frequency"]
    if ax is None:
        from matplotlib import pyplot

        size = (6.4, 1.2 + 1.3 * count)
        ax = pyplot.subplots(count, sharex=True, figsize=size, layout="constrained")[1]
    panels = np.ravel(ax)
    if len(panels) != count:
        raise ValueError(
            f"`ax` must hold one axes for each of the {count} frequencies; received {len(panels)}."
        )
    meshes = []
    for place, panel in enumerate(panels):
        own = values.isel(frequency=place).transpose("layer", "step")
        corners = edges(own["step"].values), np.arange(len(own) + 1)
        meshes.append(panel.pcolormesh(*corners, own.values, **_scale(values)))
        name_rows(own["layer"].values, panel)
        panel.set_ylabel(f"k = {int(own['frequency'])}")
        _key(meshes[-1], panel)
    remark(panels[0], _TITLES[str(values.name)], said)
    panels[-1].set_xlabel(axis_label(run["step"]))
    return meshes


def _scale(values: xr.DataArray) -> dict[str, Any]:
    if values.name == "r2":
        return {"cmap": "viridis", "norm": Normalize(0, 1)}
    # The range is limited, since the shares of a network that diverges grow without bound.
    size = np.nanpercentile(abs(values.values), 99) if bool(values.notnull().any()) else 1.0
    largest = float(np.clip(size, 1.0, 4.0))
    return {"cmap": "RdBu_r", "norm": TwoSlopeNorm(0, -largest, largest)}


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
    extend = "min" if mesh.norm.vmin == 0 else "both"  # R² is at most 1, but has no lower bound
    ax.figure.colorbar(mesh, ax=ax, extend=extend, pad=0.02)


def shares_of(run: xr.Dataset) -> tuple[xr.DataArray, list[str]]:
    """Returns what is drawn, and the remark on seeds.

    Only records with values are drawn: those of other callbacks have none, nor have those that not
    all seeds have.
    """
    values = carried(run)
    known = values.notnull().any(["layer", "frequency"]).values
    said = mean_of_seeds(run[str(values.name)])
    return values.isel(step=known) if known.any() else values, said
