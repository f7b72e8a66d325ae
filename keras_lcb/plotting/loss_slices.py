"""The figure of slices of the loss, side by side on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from keras_lcb.plotting.along_training import remark
from keras_lcb.plotting.style import depth_colors, is_dark, short_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist

_LEVELS = 12


def plot_loss_slices(
    slices: Mapping[str, xr.Dataset], ax: Any | None = None
) -> dict[str, list[Artist]]:
    """Plots slices of the loss side by side, all on the same scale.

    A slice along lines is drawn as a thin line for each direction, and their mean as a thick line.
    A slice over a plane is drawn as filled contours, with the same levels in all panels. Colours
    go from shallow to deep, in the order of the slices.

    Args:
        slices: A mapping from the names of layers to what `landscape.loss_slice` returned. Either
            all are lines, or all are planes.
        ax: As many axes as slices, as `pyplot.subplots(1, n, layout="constrained")` returns them.
            Defaults to `None`: a new pyplot figure.

    Returns:
        For each name, its lines, the mean last; or its contours.

    Raises:
        ValueError: If there are no slices, lines and planes are mixed, or the number of axes does
            not fit.

    Example:
        >>> import numpy as np
        >>> import xarray as xr
        >>> alpha = np.linspace(-1.0, 1.0, 5)
        >>> loss = xr.DataArray([alpha**2, 2 * alpha**2], dims=("direction", "alpha"))
        >>> found = xr.Dataset({"loss": loss}, {"alpha": alpha})
        >>> artists = plot_loss_slices({"conv_0": found, "head": 3 * found})
        >>> len(artists["head"])
        3
    """
    planes = {"beta" in found["loss"].dims for found in slices.values()}
    if len(planes) != 1:
        raise ValueError(
            "`slices` must hold at least one slice, and either lines only or planes only; received "
            f"{len(slices)}. Pass {{name: landscape.loss_slice(model, x, y, layer=name)}}."
        )
    panels = np.ravel(_new_axes(len(slices)) if ax is None else ax)
    if len(panels) != len(slices):
        raise ValueError(
            f"`ax` must hold one axes for each of the {len(slices)} slices; received {len(panels)}."
        )
    draw = _plane if planes.pop() else _lines
    lowest, highest = _range(slices)
    colors = depth_colors(len(slices), is_dark(panels[0]))
    artists = {}
    for (name, found), panel, color in zip(slices.items(), panels, colors, strict=True):
        artists[name] = draw(found["loss"], panel, color, (lowest, highest))
        remark(panel, short_name(name), [])
        panel.set_xlabel("α")
        panel.label_outer(remove_inner_ticks=False)
    return artists


def _new_axes(count: int) -> Any:
    from matplotlib import pyplot

    width, height = pyplot.rcParams["figure.figsize"]
    size = (0.6 * width * count, 0.8 * height)
    return pyplot.subplots(1, count, figsize=size, layout="constrained")[1]


def _range(slices: Mapping[str, xr.Dataset]) -> tuple[float, float]:
    """Returns the range of the finite losses over all slices."""
    losses = np.concatenate([found["loss"].values.ravel() for found in slices.values()])
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        raise ValueError(
            "All losses are NaN or infinite, so there is nothing to draw. Choose a smaller range."
        )
    return float(finite.min()), float(finite.max())


def _lines(loss: xr.DataArray, ax: Any, color: str, span: tuple[float, float]) -> list[Artist]:
    alpha = loss["alpha"].values
    lines = ax.plot(alpha, loss.transpose("alpha", "direction").values, color=color, alpha=0.35)
    lines += ax.plot(alpha, loss.mean("direction").values, color=color, linewidth=2.5)
    room = 0.04 * (span[1] - span[0] or 1.0)
    ax.set(ylim=(span[0] - room, span[1] + room), ylabel="loss")
    return lines


def _plane(loss: xr.DataArray, ax: Any, color: str, span: tuple[float, float]) -> list[Artist]:
    levels = MaxNLocator(_LEVELS).tick_values(*span)
    across = loss.transpose("beta", "alpha")
    drawn = ax.contourf(loss["alpha"], loss["beta"], across, levels=levels, cmap="plasma")
    ax.plot(0, 0, "+", color="white", markersize=10)
    ax.set(ylabel="β", aspect="equal")
    if ax.get_subplotspec() is None or ax.get_subplotspec().is_last_col():
        ax.figure.colorbar(drawn, ax=ax, label="loss")
    return [drawn]
