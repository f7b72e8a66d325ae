"""The pictures of a lab as one figure, for files and for programs that show no widgets."""

from __future__ import annotations

import functools
import io
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from keras_lcb.plotting import figures_of
from keras_lcb.plotting.quantity import plot_quantity

# Matplotlib's caches of fonts and text are not thread-safe, so only one thread draws at a time.
DRAWING = threading.RLock()
_COLUMNS = 2
_SIZE = (6.0, 3.6)  # of one figure, in inches
_LETTERS = 120  # that fit into a line above the figures


def of_runs(runs: Mapping[str, xr.Dataset], kind: str, quantities: Sequence[str] = ()) -> bytes:
    """Returns all figures of one run, or of two side by side, as "png" or "svg".

    Args:
        runs: The runs, stacked along `seed` if they have several seeds, by what stands above them.
        kind: "png" or "svg".
        quantities: Quantities that get a figure beside the usual ones. Defaults to none.
    """
    with DRAWING:
        plots = [_plots(run, quantities) for run in runs.values()]
        longest = max(map(len, plots))
        alone = len(runs) == 1
        rows = -(-longest // _COLUMNS) if alone else longest
        size = (_COLUMNS * _SIZE[0], rows * _SIZE[1])
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, squeeze=False)
        places = [axes.ravel()] if alone else axes.T
        for run, wanted, place in zip(runs.values(), plots, places, strict=True):
            _draw(run, wanted, place)
        for row in () if alone else axes:
            _on_one_scale(row)
        figure.suptitle(_title(list(runs)), parse_math=False)
        return _saved(figure, kind)


def _title(titles: Sequence[str]) -> str:
    sides = [""] if len(titles) == 1 else ["Left: ", "Right: "]
    said = [f"{side}{title}" for side, title in zip(sides, titles, strict=True)]
    return "\n".join(textwrap.fill(text, _LETTERS) for text in said)


def _plots(run: xr.Dataset, quantities: Sequence[str]) -> list[Callable[..., Any]]:
    usual = [each.plot for each in figures_of(run)]
    return usual + [functools.partial(plot_quantity, name=name) for name in quantities]


def _draw(run: xr.Dataset, plots: Sequence[Callable[..., Any]], axes: Sequence[Any]) -> None:
    for each, ax in zip(plots, axes, strict=False):
        each(run, ax=ax)
    for ax in axes[len(plots) :]:
        ax.set_axis_off()


def _on_one_scale(row: Sequence[Any]) -> None:
    """Gives axes the same limits where they have the same meaning: a label, and no names."""
    for axis in ("xaxis", "yaxis"):
        found = [getattr(ax, axis) for ax in row]
        labels = {(each.get_label_text(), each.get_scale()) for each in found}
        named = any(isinstance(each.get_major_locator(), FixedLocator) for each in found)
        if len(labels) > 1 or named or labels == {("", "linear")}:
            continue
        limits = np.array([each.get_view_interval() for each in found])
        for each in found:
            each.axes.set(**{f"{axis[0]}lim": (limits.min(), limits.max())})


def before_training(view: Any) -> bytes:
    """Returns the target and the untrained network as PNG; b"" if the view has no target."""
    if not hasattr(view, "target"):
        return b""
    with DRAWING:
        figure = Figure(figsize=_SIZE, layout="constrained")
        ax = figure.subplots()
        ax.plot(view.x, view.target, color="#b5b5b5", linewidth=5, label="target")
        ax.plot(view.x, view.prediction, color="#222222", label="untrained network")
        ax.set(xlabel="x", ylabel="value")
        ax.legend(frameon=False)
        return _saved(figure, "png")


def _saved(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
    # Text is kept as text, and equal runs give equal files.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_lcb"}):
        figure.savefig(file, format=kind, dpi=150, metadata=metadata)
    return file.getvalue()
