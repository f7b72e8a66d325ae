"""The figures of a run, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lcb.plotting.figures import figures_of

if TYPE_CHECKING:
    import xarray as xr


def plot_overview(run: xr.Dataset, ax: np.ndarray | None = None) -> dict[str, Any]:
    """Plots all figures for which a run has the data, side by side.

    For a run of `LayerConvergence` and `GradientNorms`, these are distances, loss, gradient norms,
    and speed against gradient norm.

    Args:
        run: A run.
        ax: Axes, as `pyplot.subplots(2, 2, layout="constrained")` returns them. If there are fewer
            axes than figures, only the first figures are drawn; axes that are not needed are
            switched off. Defaults to `None`: a new pyplot figure with room for all.

    Returns:
        What each figure returns, by the figure's name, such as `"convergence"`.

    Raises:
        ValueError: If the run has no data for any figure.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> sorted(plot_overview(example_run(gradients=False)))
    ['convergence', 'loss']
    """
    wanted = figures_of(run)
    if not wanted:
        raise ValueError(
            "The run has no data for any figure. Train with a callback such as LayerConvergence."
        )
    panels = np.ravel(_new_axes(len(wanted)) if ax is None else ax)
    for panel in panels[len(wanted) :]:
        panel.set_axis_off()
    return {
        each.name: each.plot(run, ax=panel) for each, panel in zip(wanted, panels, strict=False)
    }


def _new_axes(count: int) -> np.ndarray:
    from matplotlib import pyplot

    columns = min(count, 2)
    rows = -(-count // columns)
    size = np.array(pyplot.rcParams["figure.figsize"]) * (columns, rows)
    return pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)[1]
