"""All figures of a run, as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.plotting.convergence import plot_convergence
from keras_lcb.plotting.gradient_norms import plot_gradient_norms
from keras_lcb.plotting.loss import plot_loss
from keras_lcb.plotting.rate_vs_gradient import plot_rate_vs_gradient

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_PANELS: dict[str, Callable] = {
    "convergence": plot_convergence,
    "loss": plot_loss,
    "gradient_norms": plot_gradient_norms,
    "rate_vs_gradient": plot_rate_vs_gradient,
}


def plot_overview(run: xr.Dataset, ax: np.ndarray | None = None) -> dict[str, list[Artist]]:
    """Plot distances, loss, gradient norms, and speed against gradient norm, side by side.

    Args:
        run: A run. What it does not hold leaves its panel empty but for a sentence.
        ax: Four axes, as `pyplot.subplots(2, 2, layout="constrained")` returns them; a new pyplot
            figure by default.

    Returns:
        What each figure returns, under `"convergence"`, `"loss"`, `"gradient_norms"` and
        `"rate_vs_gradient"`; an empty list for a panel without data.

    Raises:
        ValueError: If `ax` is not four axes.

    Example:
        >>> artists = plot_overview(run)  # doctest: +SKIP
        >>> artists["convergence"][0].figure.savefig("overview.png")  # doctest: +SKIP
    """
    if ax is None:
        from matplotlib import pyplot

        size = np.array(pyplot.rcParams["figure.figsize"])
        _, ax = pyplot.subplots(2, 2, figsize=2 * size, layout="constrained")
    panels = np.ravel(ax)
    if len(panels) != len(_PANELS):
        raise ValueError(
            f"The overview needs {len(_PANELS)} axes, got {len(panels)}: pass those of "
            '`pyplot.subplots(2, 2, layout="constrained")`.'
        )
    return {
        name: _panel(plot, run, panel)
        for (name, plot), panel in zip(_PANELS.items(), panels, strict=True)
    }


def _panel(plot: Callable, run: xr.Dataset, ax: Axes) -> list[Artist]:
    try:
        return plot(run, ax)
    except ValueError as reason:  # the run does not hold it, and the sentence says which callback
        ax.set_axis_off()
        ax.text(0.5, 0.5, str(reason), ha="center", va="center", wrap=True, parse_math=False)
        return []
