"""The output of a network of one variable, and what each layer adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.analysis.records import over_seeds, record_at
from keras_lcb.plotting.along_training import mean_of_seeds, remark
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import is_dark, layer_colors, new_axes, short_name
from keras_lcb.runs.received import check_dimensions

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_DRAWN = ("target", "prediction", "contribution")


def _showing(run: xr.Dataset) -> str:
    return (
        "Line chart: the target, the prediction and what each layer adds to it, over x, after "
        f"{int(functions_of(run)['step'][-1]):,} updates."
    )


@figure(
    needs=("prediction", "x"),
    recorded_by="keras_lcb.FrequencyResponse(x, target=target, functions=True)",
    place=6,
    reading="The prediction is dashed; the target is broad and pale. In a residual network, the "
    "contributions of the layers add up to the prediction. A plain network has no contributions.",
    showing=_showing,
)
def plot_contributions(
    run: xr.Dataset, step: int | None = None, ax: Axes | None = None
) -> dict[str, Line2D]:
    """Plots the target, the prediction and what each layer adds to it, as functions.

    The contributions of the layers of a residual network add up to its prediction; the
    contribution of the last layer is its bias. A plain network has only a prediction. Of runs
    stacked over seeds, the mean is drawn.

    Args:
        run: A run with `prediction`, as `FrequencyResponse(..., functions=True)` records it.
        step: An update. The nearest record is shown. Defaults to `None`: the last record.
        ax: Where to draw. Defaults to `None`: a new pyplot figure.

    Returns:
        A dict of lines, with the keys `"target"` (if the run has one), `"prediction"`, and the
        names of the layers.

    Raises:
        ValueError: If the run holds no functions.

    Example:
    >>> from keras_lcb.runs import example_run
    >>> lines = plot_contributions(example_run(layers=2, frequencies=(1, 3)))
    >>> sorted(lines)
    ['layer_0', 'layer_1', 'prediction', 'target']
    """
    mean = mean_of_seeds(run["prediction"])
    run = functions_of(run)
    at = record_at(run, step)
    ax = new_axes(ax)
    ink = ax.xaxis.label.get_color()
    x = run["x"].values
    lines = {}
    if "target" in run:
        (lines["target"],) = ax.plot(x, run["target"], color=ink, alpha=0.35, linewidth=4)
        lines["target"].set_label("target")
    for place, color in enumerate(layer_colors(run, is_dark(ax))):
        name = str(run["layer"].values[place])
        part = at["contribution"].isel(layer=place) if "contribution" in run else None
        if part is not None and bool(part.notnull().all()):
            label = short_name(name) + (" (constant)" if part.min() == part.max() else "")
            (lines[name],) = ax.plot(x, part, color=color, label=label)
    (lines["prediction"],) = ax.plot(x, at["prediction"], "--", color=ink, label="prediction")
    layers = "what each layer adds" if "contribution" in run else "no layer adds a part of its own"
    said = f"After {int(at['step']):,} updates; {layers}."
    remark(ax, "Target and prediction", [said, *mean])
    ax.set(xlabel="x", xlim=(x[0], x[-1]))
    ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def functions_of(run: xr.Dataset) -> xr.Dataset:
    """Returns the functions of a run, without seeds, at the records that hold them for all seeds.

    Records of other callbacks hold none.
    """
    check_dimensions(run, "step", "layer")
    drawn = run.drop_vars([name for name in run.data_vars if name not in _DRAWN])
    if "seed" in drawn.dims:
        drawn = drawn.assign({name: over_seeds(drawn[name])[1] for name in drawn.data_vars})
    known = drawn["prediction"].notnull().any("x")
    return drawn.isel(step=known.values) if known.any() else drawn
