"""Labels of lines and points that do not cover each other.

Where a label fits depends on the size of the figure and on the limits of its axes, which may
change until the figure is drawn. Therefore the artists here place their labels while being drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.transforms import Bbox, ScaledTranslation

from keras_lcb.plotting.style import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

_ROOM = 18  # points between the axes and the names, for the leader lines
_LINE_HEIGHT = 1.25
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_ALIGNED: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_RAISED: dict[int, Literal["bottom", "center", "top"]] = {1: "bottom", 0: "center", -1: "top"}


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Moves sorted positions apart as little as possible.

    The result is the exact least squares solution. Subtract `gap * i` from the i-th position. Then
    the positions only have to stay in ascending order, which is isotonic regression: neighbours in
    the wrong order are replaced by their mean. Clipping afterwards keeps the solution exact.

    Args:
        wanted: Positions in ascending order.
        gap: The smallest distance between neighbours.
        low: The smallest position.
        high: The largest position. If there is not enough room, positions exceed it.

    Returns:
        The new positions, in the same order.

    Example:
        >>> spread([0.0, 0.0, 5.0], gap=1.0, low=0.0, high=9.0)
        array([0., 1., 5.])
    """
    steps = gap * np.arange(len(wanted))
    pools: list[tuple[float, int]] = []
    for value in np.asarray(wanted, float) - steps:
        size = 1
        while pools and pools[-1][0] > value:
            other, others = pools.pop()
            value = (value * size + other * others) / (size + others)
            size += others
        pools.append((value, size))
    pooled = np.repeat([value for value, _ in pools], [size for _, size in pools])
    return np.clip(pooled, low, max(low, high - gap * (len(wanted) - 1))) + steps


Anchor = Callable[[np.ndarray], np.ndarray]


def line_end(points: np.ndarray) -> np.ndarray:
    """Returns the last of a line's points (points, 2)."""
    return points[-1]


def half_way(points: np.ndarray) -> np.ndarray:
    """Returns where a line (points, 2) first comes down to ½; its end if it never does."""
    below = np.flatnonzero(points[:, 1] <= 0.5)
    if not below.size or below[0] == 0:
        return points[-1]
    before, after = points[below[0] - 1], points[below[0]]
    part = (before[1] - 0.5) / (before[1] - after[1])
    return before + part * (after - before)


class LineLabels(Artist):
    """Writes the names of lines to the right of the axes, with a leader from line to name.

    Names follow their lines if data or limits change. Of leaders that begin at the same height,
    the one that begins further left leads to the higher name, so that leaders do not cross. If
    there is no room for all names, some are left out at equal intervals.

    Args:
        ax: The axes of the lines.
        lines: The lines, in the order of depth. None may be empty. A line's label is its name.
        anchor: A function that takes a line's points and returns where its leader begins:
            `line_end` or `half_way`. Defaults to `line_end`.
    """

    def __init__(self, ax: Axes, lines: Sequence[Line2D], anchor: Anchor | None = None) -> None:
        super().__init__()
        self._ax = ax
        self._anchor = anchor or line_end
        self.set_in_layout(False)
        self.set_zorder(-1)  # drawn before the names, whose positions it sets
        self._named = [(line, self._name(ax, line)) for line in lines]
        ax.add_artist(self)

    def _name(self, ax: Axes, line: Line2D) -> Annotation:
        return ax.annotate(
            short_name(str(line.get_label())),
            xy=tuple(self._anchor(_data(line))),
            xytext=(1, 0.5),
            textcoords=ax.transAxes + ScaledTranslation(_ROOM / 72, 0, ax.figure.dpi_scale_trans),
            va="center",
            fontsize="small",
            annotation_clip=False,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": line.get_color(),
                "linewidth": 0.7,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )

    def draw(self, renderer: RendererBase) -> None:
        """Places the names; the axes draw them afterwards."""
        if not self._named:
            return
        box = self._ax.bbox
        gap = _LINE_HEIGHT * _pixels(renderer, float(self._named[0][1].get_fontsize()))
        room = max(1, int(box.height / gap) + 1)
        chosen = _evenly(len(self._named), room)
        starts = []
        for place, (line, name) in enumerate(self._named):
            name.set_visible(place in chosen)
            if place in chosen:
                name.xy = tuple(self._anchor(_data(line)))
                x, y = self._ax.transData.transform(name.xy)
                mean = self._ax.transData.transform(_data(line))[:, 1].mean()
                height = float(np.clip(y, box.y0, box.y1))
                starts.append((round(height / gap), -round(x), mean, height, name))
        starts.sort(key=lambda entry: entry[:3])
        heights = spread([height for *_, height, _ in starts], gap, box.y0, box.y1)
        for height, (*_, name) in zip(heights, starts, strict=True):
            name.set_position((1, (height - box.y0) / box.height))


class PointLabels(Artist):
    """Writes the names of points beside them, on the first side where the name covers nothing.

    A name for which there is no room is left out.

    Args:
        ax: The axes of the points.
        points: The points.
        names: One name for each point. Earlier names are placed first.
    """

    def __init__(self, ax: Axes, points: PathCollection, names: Sequence[str]) -> None:
        super().__init__()
        self._ax = ax
        self.set_in_layout(False)
        self.set_zorder(-1)
        self._points = points
        places = self._places()
        self._names = [
            ax.annotate(
                short_name(name),
                xy=tuple(place),
                xytext=(0, 0),
                textcoords="offset points",
                fontsize="small",
                parse_math=False,
            )
            for name, place in zip(names, places, strict=True)
            if np.isfinite(place).all()
        ]
        for name in self._names:
            name.set_in_layout(False)
        ax.add_artist(self)

    def draw(self, renderer: RendererBase) -> None:
        """Places the names; the axes draw them afterwards."""
        centres = self._ax.transData.transform(self._places())
        centres = centres[np.isfinite(centres).all(axis=1)]
        radius = _pixels(renderer, self._radius())
        taken = [Bbox.from_extents(*(centre - radius), *(centre + radius)) for centre in centres]
        legend = self._ax.get_legend()
        if legend is not None:
            taken.append(legend.get_window_extent(renderer))
        for name in self._names:
            name.set_visible(True)
            box = self._first_free(name, renderer, taken)
            name.set_visible(box is not None)
            if box is not None:
                taken.append(box)

    def _places(self) -> np.ndarray:
        return np.ma.filled(np.ma.asarray(self._points.get_offsets(), float), np.nan)

    def _radius(self) -> float:
        return float(np.sqrt(self._points.get_sizes().max()) / 2)

    def _first_free(
        self, name: Annotation, renderer: RendererBase, taken: list[Bbox]
    ) -> Bbox | None:
        distance = self._radius() + 2
        for right, up in _SIDES:
            name.set_position((right * distance, up * distance))
            name.set_horizontalalignment(_ALIGNED[right])
            name.set_verticalalignment(_RAISED[up])
            box = name.get_window_extent(renderer)
            inside = self._ax.bbox.x0 <= box.x0 and box.x1 <= self._ax.bbox.x1
            inside = inside and self._ax.bbox.y0 <= box.y0 and box.y1 <= self._ax.bbox.y1
            if inside and box.count_overlaps(taken) == 0:
                return box
        return None


def _data(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xydata())


def _pixels(renderer: RendererBase, points: float) -> float:
    return float(np.asarray(renderer.points_to_pixels(points)))


def _evenly(count: int, room: int) -> set[int]:
    """Returns the indices of `room` out of `count` items at equal intervals, with both ends."""
    if room >= count:
        return set(range(count))
    return {round(place) for place in np.linspace(0, count - 1, room)}
