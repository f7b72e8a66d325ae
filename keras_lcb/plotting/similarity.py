"""The figure of how similar each layer's activations are to its final or initial ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_lcb.analysis.similarity import time_to_similarity
from keras_lcb.plotting.along_training import draw_layers, how_to_read, is_map
from keras_lcb.plotting.extremes import least_and_most
from keras_lcb.plotting.figures import figure
from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_SHOWN = {
    "end": ("similarity", "Similarity of each layer's activations to the final ones"),
    "start": ("similarity_to_start", "Similarity of each layer's activations to the initial ones"),
}
_SETTLED = 0.9


def _reading(run: xr.Dataset) -> str:
    return how_to_read(
        run,
        "A line that rises sooner belongs to a layer that sooner does what it will do in the end, "
        "whatever its weights are; the dotted line marks a similarity of 0.9.",
        "A row that grows bright sooner belongs to a layer that sooner does what it will do in the "
        "end, whatever its weights are.",
    )


def _showing(run: xr.Dataset) -> str:
    first, last = least_and_most(time_to_similarity(run, _SETTLED))
    return (
        "Chart: the similarity of each layer's activations to the final ones, 1 at the end, over "
        f"updates. First to reach {_SETTLED}, with the update: {first}; last: {last}."
    )


@figure(
    needs=("similarity",),
    recorded_by="keras_lcb.RepresentationSimilarity(x)",
    place=4.5,
    reading=_reading,
    showing=_showing,
)
def plot_similarity(run: xr.Dataset, ax: Axes | None = None, *, to: str = "end") -> list[Artist]:
    """Plots how similar each layer's activations are to its final or initial ones.

    Every line ends at 1 (with `to="start"`, begins at 1). The dotted line marks 0.9, the level of
    `analysis.time_to_similarity`. Of runs stacked over seeds, the mean is drawn, with a band from
    the lowest to the highest value. More than 20 layers are drawn as a map of layers against
    updates.

    Args:
        run: A run of `RepresentationSimilarity`.
        ax: Where to draw; a new pyplot figure by default. Names stand to the right of the axes:
            a figure made with `layout="constrained"` leaves room for them.
        to: "end" for the final activations, "start" for the initial ones. Defaults to "end".

    Returns:
        One `matplotlib.lines.Line2D` a layer, in the order of the run's layers, or the map, a
        `matplotlib.collections.QuadMesh`.

    Raises:
        ValueError: If the run holds no similarities.

    Example:
    >>> from keras_lcb.runs import schema
    >>> run = schema.dataset(
    ...     {"similarity": (("step", "layer"), [[0.2], [1.0]])},
    ...     {"step": [0, 10], "layer": ["dense"], "depth": [0], "role": ["hidden"]},
    ... )
    >>> (line,) = plot_similarity(run)
    >>> line.axes.get_ylabel()
    'similarity (linear CKA)'
    """
    if to not in _SHOWN:
        raise ValueError(f'`to` is "end" or "start"; received {to!r}.')
    name, title = _SHOWN[to]
    ax = new_axes(ax)
    artists = draw_layers(run, run[name], ax, title=title, label="similarity (linear CKA)")
    if not is_map(run):
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
        if to == "end":
            ink = ax.xaxis.label.get_color()
            ax.axhline(_SETTLED, color=ink, linestyle=":", linewidth=0.8, alpha=0.5)
    return artists
