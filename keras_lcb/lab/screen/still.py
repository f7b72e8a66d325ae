"""The pictures of a lab as one figure, for files and for programs that show no widgets."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Sequence
from typing import Any

import matplotlib
import xarray as xr
from matplotlib.figure import Figure

from keras_lcb.plotting import figures_of
from keras_lcb.plotting.quantity import plot_quantity

# Matplotlib's caches of fonts and text are not thread-safe, so only one thread draws at a time.
DRAWING = threading.RLock()
_COLUMNS = 2
_SIZE = (6.0, 3.6)  # of one figure, in inches


def of_run(run: xr.Dataset, kind: str, quantities: Sequence[str] = ()) -> bytes:
    """Returns all figures of a run, and of these quantities of it, as "png" or "svg"."""
    run = run.isel(seed=0) if "seed" in run.dims else run
    with DRAWING:
        wanted = [each.plot for each in figures_of(run)]
        wanted += [functools.partial(plot_quantity, name=name) for name in quantities]
        rows = -(-len(wanted) // _COLUMNS)
        figure = Figure(figsize=(_COLUMNS * _SIZE[0], rows * _SIZE[1]), layout="constrained")
        axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for each, ax in zip(wanted, axes, strict=False):
            each(run, ax=ax)
        for ax in axes[len(wanted) :]:
            ax.set_axis_off()
        return _saved(figure, kind)


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
