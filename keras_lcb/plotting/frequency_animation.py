"""A training on a function of one variable as a film."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.figure import Figure

from keras_lcb.plotting.contributions import functions_of, plot_contributions
from keras_lcb.plotting.figures import in_training_order
from keras_lcb.plotting.frequency_error import plot_frequency_error
from keras_lcb.plotting.frequency_maps import draw_map, shares_of
from keras_lcb.runs.received import check_run

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist

_TITLES = {"frequency_share": "Share of each layer", "r2": "R² of each layer"}


def animate_frequencies(
    run: xr.Dataset, path: str | os.PathLike[str], *, frames: int = 60, per_second: int = 10
) -> None:
    """Writes a film of functions, shares of frequencies and errors along training.

    Of runs stacked over seeds, the mean is shown.

    Args:
        run: A run with functions, as `synthetic.run(config, functions=True)` makes it.
        path: The file to write: `….gif`, or `….mp4` if ffmpeg is installed.
        frames: The largest number of frames. They show records at equal intervals. Defaults to 60.
        per_second: Frames per second. Defaults to 10.

    Raises:
        ValueError: If the run holds no functions, the file's name has another ending, ffmpeg is
            needed but not installed, or there would be no frames.

    Example:
    >>> import pathlib, tempfile
    >>> from keras_lcb.runs import example_run
    >>> path = pathlib.Path(tempfile.mkdtemp(), "training.gif")
    >>> animate_frequencies(example_run(layers=2, frequencies=(1, 3)), path, frames=2)
    >>> path.stat().st_size > 1000
    True
    """
    check_run(run)
    if not (frames >= 1 and per_second > 0):
        raise ValueError(
            "`frames` must be 1 or more, and `per_second` above 0; received "
            f"frames={frames} and per_second={per_second}."
        )
    run = in_training_order(run)
    writer = _writer(Path(path), per_second)
    figure = Figure(figsize=(12, 4.2), dpi=80, layout="constrained")
    functions, shares, errors = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
    lines = plot_contributions(run, ax=functions)
    shown = functions_of(run)
    values = shares_of(run)[0].sel(step=shown["step"], method="nearest")
    mesh = draw_map(values, values.isel(step=0), shares)
    cells = values.transpose("step", "layer", "frequency").values
    plot_frequency_error(run, errors)
    now = errors.axvline(0, color=errors.xaxis.label.get_color(), linewidth=1)
    titles = "Functions", _TITLES[str(values.name)], "Error at each frequency"
    for ax, title in zip((functions, shares, errors), titles, strict=True):
        ax.set_title(title, loc="left", pad=6)
    for said in functions.texts:  # remarks about one record
        said.remove()
    steps = shown["step"].values
    functions.set_ylim(_limits(shown))

    def draw(place: int) -> list[Artist]:
        at = shown.isel(step=place)
        for name, line in lines.items():
            if name == "prediction":
                line.set_ydata(at["prediction"].values)
            elif name != "target":
                line.set_ydata(at["contribution"].sel(layer=name).values)
        mesh.set_array(cells[place])
        now.set_xdata([steps[place]] * 2)
        figure.suptitle(f"after {int(steps[place]):,} updates")
        return []

    chosen = np.unique(np.linspace(0, len(steps) - 1, min(frames, len(steps))).round().astype(int))
    FuncAnimation(figure, draw, frames=chosen.tolist()).save(Path(path), writer=writer)


def _writer(path: Path, per_second: int) -> PillowWriter | FFMpegWriter:
    if path.suffix.lower() == ".gif":
        return PillowWriter(fps=per_second)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"`path` must end in .gif or .mp4; received '{path}'.")
    if not FFMpegWriter.isAvailable():
        raise ValueError(
            f"Writing '{path}' needs ffmpeg, which was not found. Install it, or write a .gif."
        )
    return FFMpegWriter(fps=per_second)


def _limits(run: xr.Dataset) -> tuple[float, float]:
    """Returns limits that hold the functions of nearly all records, without rare outliers."""
    names = [name for name in ("target", "prediction", "contribution") if name in run]
    values = np.concatenate([run[name].values.ravel() for name in names])
    low, high = np.percentile(values[np.isfinite(values)], [0.2, 99.8])
    margin = 0.05 * float(high - low)
    return float(low) - margin, float(high) + margin
