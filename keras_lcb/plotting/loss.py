"""The figure of the loss along training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.analysis.records import over_seeds
from keras_lcb.plotting.along_training import frame_training, remark, remarks_on
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_STYLES = {"loss": ("training", "solid"), "validation_loss": ("validation", "dashed")}


def _showing(run: xr.Dataset) -> str:
    said = "Line chart: training loss, and validation loss if there is one, over updates."
    losses = over_seeds(run["loss"])[1].dropna("step")
    if not losses.size:
        return said
    return f"{said} Training loss went from {float(losses[0]):.3g} to {float(losses[-1]):.3g}."


@figure(
    needs=("loss", "step"),
    recorded_by="any callback of keras_lcb",
    place=2,
    reading="As long as the loss falls, the layers have not converged, whatever the distances to "
    "their final weights say.",
    showing=_showing,
    shows=("loss", "validation_loss"),
)
def plot_loss(run: xr.Dataset, ax: Axes | None = None) -> list[Line2D]:
    """Plots the training loss and, if there is one, the validation loss.

    Distances to the final weights mean little as long as the loss still falls, and with a falling
    learning rate everything seems to converge. The figure shows the loss and names the learning
    rate. Of runs stacked over seeds, the mean is drawn, with a band from the lowest to the highest
    value. The axis is logarithmic if the loss is positive and spans more than a factor of ten.

    Args:
        run: A run with `loss`.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        One `matplotlib.lines.Line2D` a loss, training first.

    Raises:
        ValueError: If the run holds no loss.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> (training,) = plot_loss(example_run())
    >>> training.get_label()
    'training'
    """
    held = [name for name in _STYLES if name in run and np.isfinite(run[name]).any()]
    if not held:
        raise ValueError(
            "The run holds no finite loss. Train with any callback of keras_lcb in `fit`, or pass "
            "the loss to `tracker.record(loss=...)`."
        )
    ax = new_axes(ax)
    color = ax.xaxis.label.get_color()
    lines = []
    for name in held:
        values = run[name].where(np.isfinite(run[name])).dropna("step", how="all")
        spread = over_seeds(values)
        low, middle, high = (part.isel(step=spread[1].notnull().values) for part in spread)
        label, style = _STYLES[name]
        lines += ax.plot(middle["step"], middle, color=color, linestyle=style, label=label)
        if "seed" in values.dims:
            ax.fill_between(low["step"], low, high, color=color, alpha=0.15, linewidth=0)
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in lines])
    if drawn.size and drawn.min() > 0 and drawn.max() > 10 * drawn.min():
        ax.set_yscale("log")
    remark(ax, "Loss", [*remarks_on(run, run[held[0]]), *_learning_rate(run)])
    ax.set_ylabel("loss")
    frame_training(run, ax)
    ax.legend(fontsize="small", frameon=False)
    return lines


def _learning_rate(run: xr.Dataset) -> list[str]:
    if "learning_rate" not in run or "step" not in run["learning_rate"].dims:
        return []
    held = run["learning_rate"].transpose("step", ...)
    rates = held.values[np.isfinite(held.values)]
    if len(rates) == 0:
        return []
    if "layer" in held.dims:
        return [f"Learning rates differ by layer: {rates.min():.3g} to {rates.max():.3g}."]
    if "seed" in held.dims and bool((held.max("seed") > held.min("seed")).any()):
        return [f"Learning rates differ by seed: {rates.min():.3g} to {rates.max():.3g}."]
    if rates.min() == rates.max():
        return [f"Learning rate {rates[0]:.3g} throughout."]
    return [f"Learning rate {rates[0]:.3g} at first, {rates[-1]:.3g} at last."]
