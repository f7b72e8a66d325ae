"""Names beside what they name, without one covering another.

Where a name fits depends on the size of the figure and on the limits of its axes, both of which
change until the figure is drawn. So each artist here places its names as it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.transforms import Bbox, offset_copy

from keras_lcb.plotting.style import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

_ROOM = 18  # points between the axes and the names, for the leaders
_LINE_HEIGHT = 1.25


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Move sorted positions apart as little as possible.

    The least squares answer: without `gap * i`, keeping the i-th position `gap` above the one
    before is keeping the order, so pooling the neighbours that violate it is exact (isotonic
    regression), and so is clipping afterwards.

    Args:
        wanted: Positions in ascending order.
        gap: Least distance between neighbours.
        low: Least position.
        high: Greatest position; exceeded where there is not enough room.

    Returns:
        As many positions.

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


class LineEndLabels(Artist):
    """Names lines at their right ends, outside the axes.

    Names follow their lines when data or limits change. Where lines end together, as distances
    to the final weights do, names stand in the order in which the lines came down. Where there
    is no room for all, evenly chosen ones stay.

    Args:
        ax: The axes of the lines.
        lines: The lines, none of them empty, in order of depth; each one's label is its name.
    """

    def __init__(self, ax: Axes, lines: Sequence[Line2D]) -> None:
        super().__init__()
        self.set_in_layout(False)
        self.set_zorder(-1)  # before the names, which are then drawn where they belong
        self._named = [(line, self._name(ax, line)) for line in lines]
        ax.add_artist(self)

    def _name(self, ax: Axes, line: Line2D):
        return ax.annotate(
            short_name(str(line.get_label())),
            xy=tuple(line.get_xydata()[-1]),
            xytext=(1, 0.5),
            textcoords=offset_copy(ax.transAxes, ax.figure, _ROOM, units="points"),
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
        """Place the names; the axes draw them afterwards."""
        if not self._named:
            return
        box = self.axes.bbox
        gap = _LINE_HEIGHT * renderer.points_to_pixels(self._named[0][1].get_fontsize())
        room = max(1, int(box.height / gap) + 1)
        chosen = _evenly(len(self._named), room)
        ends = []
        for place, (line, name) in enumerate(self._named):
            name.set_visible(place in chosen)
            if place in chosen:
                name.xy = tuple(line.get_xydata()[-1])
                points = self.axes.transData.transform(line.get_xydata())
                end = float(np.clip(points[-1, 1], box.y0, box.y1))
                ends.append((round(end / gap), points[:, 1].mean(), end, name))
        ends.sort(key=lambda entry: entry[:2])
        heights = spread([end for *_, end, _ in ends], gap, box.y0, box.y1)
        for height, (*_, name) in zip(heights, ends, strict=True):
            name.set_position((1, (height - box.y0) / box.height))


class PointLabels(Artist):
    """Names points, each on the first side where it covers nothing; one without room has none.

    Args:
        ax: The axes of the points.
        points: The points.
        names: One name a point; those that come first get room first.
    """

    _SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))

    def __init__(self, ax: Axes, points: PathCollection, names: Sequence[str]) -> None:
        super().__init__()
        self.set_in_layout(False)
        self.set_zorder(-1)
        self._points = points
        self._names = [
            ax.annotate(
                short_name(name),
                xy=place,
                xytext=(0, 0),
                textcoords="offset points",
                fontsize="small",
                parse_math=False,
                annotation_clip=True,
            )
            for name, place in zip(names, points.get_offsets(), strict=True)
        ]
        for name in self._names:
            name.set_in_layout(False)
        ax.add_artist(self)

    def draw(self, renderer: RendererBase) -> None:
        """Place the names; the axes draw them afterwards."""
        centres = self.axes.transData.transform(self._points.get_offsets())
        radius = renderer.points_to_pixels(np.sqrt(self._points.get_sizes().max()) / 2)
        taken = [Bbox.from_extents(*(centre - radius), *(centre + radius)) for centre in centres]
        for name in self._names:
            name.set_visible(True)
            box = self._first_free(name, renderer, taken)
            name.set_visible(box is not None)
            if box is not None:
                taken.append(box)

    def _first_free(self, name, renderer: RendererBase, taken: list[Bbox]) -> Bbox | None:
        distance = np.sqrt(self._points.get_sizes().max()) / 2 + 2
        for right, up in self._SIDES:
            name.set_position((right * distance, up * distance))
            name.set_horizontalalignment({1: "left", 0: "center", -1: "right"}[right])
            name.set_verticalalignment({1: "bottom", 0: "center", -1: "top"}[up])
            box = name.get_window_extent(renderer)
            inside = self.axes.bbox.x0 <= box.x0 and box.x1 <= self.axes.bbox.x1
            inside = inside and self.axes.bbox.y0 <= box.y0 and box.y1 <= self.axes.bbox.y1
            if inside and box.count_overlaps(taken) == 0:
                return box
        return None


def _evenly(count: int, room: int) -> set[int]:
    """Return which of `count` stay where there is room for `room`, the outermost included."""
    if room >= count:
        return set(range(count))
    return {round(place) for place in np.linspace(0, count - 1, room)}
