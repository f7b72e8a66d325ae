"""The figures of a report, each with a sentence on how to read it and one on what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from keras_lcb import plotting
from keras_lcb.analysis.convergence import time_to_fraction
from keras_lcb.analysis.gradients import gradient_rate_correlation, rms_over_run
from keras_lcb.plotting.frequency_maps import carried
from keras_lcb.plotting.quantity import is_quantity
from keras_lcb.report.svg import draw
from keras_lcb.report.table import number
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class _Figure:
    """What stands on the page for one plot.

    Attributes:
        name: Begins the ids of its SVG.
        plot: Draws it.
        reading: How it is to be read.
        showing: Returns what it shows, for those who do not see it.
    """

    name: str
    plot: Callable
    reading: str
    showing: Callable[[xr.Dataset], str]


def figures(run: xr.Dataset) -> str:
    """Return all figures that the run has the data for, and a sentence for each other one."""
    wanted = _FIGURES + (_FREQUENCY_FIGURES if "frequency" in run.dims else ())
    wanted += tuple(_quantity(str(name), run) for name in run.data_vars if _is_own(run[name]))
    return f'<div class="figures">{"".join(_figure(each, run) for each in wanted)}</div>'


def _is_own(values: xr.DataArray) -> bool:
    """Whether a quantity is none of the schema's, but one that brings its own description."""
    return is_quantity(values) and "step" in values.dims and not schema.is_taken(str(values.name))


def _quantity(name: str, run: xr.Dataset) -> _Figure:
    title = str(run[name].attrs.get("long_name", name))

    def showing(run: xr.Dataset) -> str:
        least, most = _extremes(run[name].mean("step"))
        return f"Line chart: {title}, of each layer over updates. Least: {least}; most: {most}."

    return _Figure(
        name,
        lambda run, ax: plotting.plot_quantity(run, name, ax),
        f"{title[:1].upper()}{title[1:]}, over the updates between two records.",
        showing,
    )


def _figure(figure: _Figure, run: xr.Dataset) -> str:
    try:
        svg = draw(figure.plot, run, figure.name, figure.showing)
    except ValueError as reason:  # the run holds no data for it, and the sentence says which
        return f"<figure><figcaption>{escape(str(reason))}</figcaption></figure>"
    return f"<figure>{svg}<figcaption>{escape(figure.reading)}</figcaption></figure>"


def _convergence(run: xr.Dataset) -> str:
    first, last = _extremes(time_to_fraction(run))
    return (
        "Line chart: the distance of each layer to where it ends, from 1 at the start, over "
        f"updates. First half-way, with the update: {first}; last: {last}."
    )


def _loss(run: xr.Dataset) -> str:
    losses = run["loss"].mean([dim for dim in run["loss"].dims if dim != "step"]).dropna("step")
    return (
        "Line chart: training loss, and validation loss if there is one, over updates. Training "
        f"loss went from {number(float(losses[0]))} to {number(float(losses[-1]))}."
    )


def _gradient_norms(run: xr.Dataset) -> str:
    least, most = _extremes(rms_over_run(run, "gradient_norm"))
    return (
        "Line chart: the gradient norm of each layer over updates, on a logarithmic axis. Over the "
        f"run it was least for {least} and largest for {most}."
    )


def _rate_vs_gradient(run: xr.Dataset) -> str:
    return (
        "Scatter chart: one point a layer, its speed of convergence against its gradient norm. "
        f"Spearman's rank correlation over hidden layers: {gradient_rate_correlation(run)}."
    )


def _frequency_map(run: xr.Dataset) -> str:
    last = carried(run).isel(step=-1)
    carriers = [
        f"k = {int(k)}: {last['layer'][int(last.sel(frequency=k).argmax('layer'))].item()}"
        for k in last["frequency"].values
        if bool(last.sel(frequency=k).notnull().any())
    ]
    return (
        "Heat map: layers against wave numbers, at the end. The layer that carries most of each: "
        f"{', '.join(carriers)}."
    )


def _frequency_error(run: xr.Dataset) -> str:
    errors = run["frequency_error"].isel(step=-1)
    errors = errors.mean([dim for dim in errors.dims if dim != "frequency"])
    ends = (
        f"k = {int(k)}: {number(float(errors.sel(frequency=k)))}"
        for k in errors["frequency"].values
    )
    return (
        "Line chart: the error of the prediction at each wave number over updates, relative to "
        f"the target. At the end, {', '.join(ends)}."
    )


def _extremes(values: xr.DataArray) -> tuple[str, str]:
    """Return the layers with the least and the greatest value, in words."""
    ranked = values.mean([dim for dim in values.dims if dim != "layer"]).dropna("layer")
    ranked = ranked.sortby(ranked)
    if not ranked.size:
        return "no layer", "no layer"
    least, most = (
        f"{one['layer'].item()} ({number(float(one))})" for one in (ranked[0], ranked[-1])
    )
    return least, most


_FIGURES = (
    _Figure(
        "convergence",
        plotting.plot_convergence,
        "A line that falls sooner belongs to a layer that converges sooner. Names stand in the "
        "order in which the lines come down; the dotted line marks half the way.",
        _convergence,
    ),
    _Figure(
        "loss",
        plotting.plot_loss,
        "As long as the loss falls, layers are still on their way, wherever they are said to end.",
        _loss,
    ),
    _Figure(
        "gradient_norms",
        plotting.plot_gradient_norms,
        "The norm of the whole layer's gradient before clipping, averaged (RMS) over the updates "
        "between two records.",
        _gradient_norms,
    ),
    _Figure(
        "rate_vs_gradient",
        plotting.plot_rate_vs_gradient,
        "If large gradients made layers fast, points would rise from left to right.",
        _rate_vs_gradient,
    ),
)
_FREQUENCY_FIGURES = (
    _Figure(
        "frequency_map",
        lambda run, ax: plotting.plot_frequency_map(run, ax=ax),
        "In a residual network, what each layer adds to the output, as a share of the target at "
        "that wave number: 1 is all of it, and below 0 works against it. In a plain network, how "
        "well the layer's features could give it (R²).",
        _frequency_map,
    ),
    _Figure(
        "frequency_error",
        plotting.plot_frequency_error,
        "A line that falls sooner belongs to a frequency that is learned sooner; the dotted line "
        "marks half the way.",
        _frequency_error,
    ),
)
