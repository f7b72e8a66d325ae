"""The pictures of a lab as one PNG, drawn ten times a second.

Axes, ticks and titles are drawn once and kept as a background. Each new view is drawn over it. The
background is drawn again only if the limits of an axis change. pyplot is not used, since its state
is shared by all threads.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

# Matplotlib's caches of fonts and text are not thread-safe, so only one thread draws at a time.
DRAWING = threading.RLock()

DPI = 96  # a point is 4/3 of a CSS pixel at this resolution
INK, FAINT = "#222222", "#767676"
_MOST_ROWS_COMPARED = 2
_RUN_LENGTHS = 3  # zlib.Z_RLE


@dataclass(frozen=True)
class Look:
    """The sizes of text, lines and pictures.

    Attributes:
        font: The size of text in points.
        line: The width of lines in points.
        labelled: The largest number of layers that are named at the ends of their lines.
        size: The width and height of all pictures together, in pixels.
    """

    font: float
    line: float
    labelled: int
    size: tuple[int, int]

    @property
    def em(self) -> float:
        """The size of text in pixels."""
        return self.font * DPI / 72


DESK = Look(font=10, line=1.8, labelled=13, size=(920, 580))
PROJECTOR = Look(font=16, line=3, labelled=6, size=(900, 590))


class Panel:
    """One picture on its axes. Subclasses draw a part of a view.

    Args:
        axes: Where to draw.
        view: The first view.
        look: The sizes of text and lines.
    """

    # Room beside the axes in em: left, right, below, above.
    room = (3.8, 1.0, 2.9, 1.8)
    # While training runs, the panel is drawn in every n-th picture: more than 1 for slow panels.
    every = 1
    # Whether the panels of two views that are compared share their vertical axis.
    shares_height = False

    def __init__(self, axes: Axes, view: Any, look: Look) -> None:
        self.axes = axes
        self.look = look
        self._moving: list[Artist] = []
        self.shown: tuple[Any, str] | None = None  # the view and the highlighted layer
        self.alike: list[Any] = [self]  # the panels that share this vertical axis
        axes.tick_params(labelsize=look.font, colors=INK, pad=2, which="both")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)

    def show(self, view: Any, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        raise TypeError(f"{type(self).__name__} must define its method `show`.")

    def shows(self, view: Any, highlight: str) -> bool:
        """Returns whether the panel already shows this view with this highlight."""
        return self.shown is not None and self.shown[0] is view and self.shown[1] == highlight

    def title(self, text: str) -> None:
        """Sets the title."""
        size = self.look.font
        self.axes.set_title(text, loc="left", fontsize=size, color=INK, pad=0.35 * size)

    def axis(self, text: str) -> None:
        """Labels the horizontal axis."""
        self.axes.set_xlabel(text, fontsize=self.look.font, color=INK, labelpad=1)

    def draw_moving(self) -> None:
        """Draws the artists that change with each view over the background."""
        for artist in self._moving:
            if artist.get_visible():
                self.axes.draw_artist(artist)

    def still(self, still: bool) -> None:
        """Sets whether the moving artists belong to the background, as they do in an export."""
        for artist in self._moving:
            artist.set_animated(not still)

    def moving(self, artist: Any) -> Any:
        """Marks an artist as drawn over the background, and returns it."""
        artist.set_animated(True)
        self._moving.append(artist)
        return artist


class Canvas:
    """Draws views, and gives the result as PNG or as a file for export.

    Args:
        panels: The classes of the panels by name, in reading order.
        look: The sizes of text, lines and pictures.
        outline: A function of a view. If its result changes, all axes are made anew.
    """

    def __init__(
        self,
        panels: Mapping[str, type[Panel]],
        look: Look,
        outline: Callable[[Any], Any],
    ) -> None:
        self._kinds = dict(panels)
        self._look = look
        self._outline = outline
        width, height = look.size
        self._figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self._panels: list[tuple[Panel, int]] = []  # panels, each with the index of its view
        self._cells: dict[Panel, Bbox] = {}  # the area of each panel
        self._arranged: Any = None
        self._backgrounds: dict[Panel, Any] = {}  # the drawn background of each panel
        self._count = 0

    def draw(
        self,
        views: Sequence[Any],
        highlight: str = "",
        titles: Sequence[str] = (),
        *,
        live: bool = False,
    ) -> bytes:
        """Draws one view, or two side by side, and returns a PNG.

        Args:
            views: One view, or two to compare.
            highlight: The name of a layer to highlight in all panels. Defaults to "".
            titles: A title for each view. Defaults to none.
            live: Whether another view will follow soon, so that slow panels may skip this one.
                Defaults to `False`.
        """
        with DRAWING:
            arrangement = (tuple(map(self._outline, views)), tuple(titles))
            if arrangement != self._arranged:
                self._arrange(views, titles)
                self._arranged = arrangement
            self._count += 1
            due = [
                (panel, (views[place], highlight))
                for panel, place in self._panels
                if not panel.shows(views[place], highlight) and self._is_due(panel, live)
            ]
            # A list, not a generator in `any`: every panel must update its artists.
            changed = [panel.show(*shown) for panel, shown in due]
            for panel, shown in due:
                panel.shown = shown
            if any(changed) or not self._backgrounds:
                for panel, _ in self._panels:
                    if panel.shown is not None and len(panel.alike) > 1:
                        panel.show(*panel.shown)  # with the limits that all these panels need
                self._canvas.draw()
                self._backgrounds = {
                    panel: self._canvas.copy_from_bbox(cell) for panel, cell in self._cells.items()
                }
                anew = [panel for panel, _ in self._panels]
            else:
                anew = [panel for panel, _ in due]
                for panel in anew:
                    self._canvas.restore_region(self._backgrounds[panel])
            for panel in anew:
                panel.draw_moving()
            return self._png()

    def _is_due(self, panel: Panel, live: bool) -> bool:
        return not live or panel.shown is None or self._count % panel.every == 0

    def blank(self) -> bytes:
        """Returns a PNG that says "No picture yet.", of the same size as the pictures."""
        with DRAWING:
            self._figure.clear()
            self._panels, self._arranged, self._backgrounds = [], None, {}
            self._figure.text(
                0.03, 0.95, "No picture yet.", fontsize=self._look.font, va="top", color=FAINT
            )
            self._canvas.draw()
            return self._png()

    def export(self, kind: str) -> bytes:
        """Returns the last picture as "png", at twice the resolution, or as "svg"."""
        with DRAWING:
            for panel, _ in self._panels:
                panel.still(True)
            file = io.BytesIO()
            metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
            # Text is kept as text, and equal views give equal files.
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_lcb"}):
                self._figure.savefig(file, format=kind, dpi=2 * DPI, metadata=metadata)
            for panel, _ in self._panels:
                panel.still(False)
            self._backgrounds = {}
            return file.getvalue()

    def _arrange(self, views: Sequence[Any], titles: Sequence[str]) -> None:
        """Makes new axes for each panel of each view."""
        self._figure.clear()
        self._panels, self._cells, self._backgrounds = [], {}, {}
        width, height = self._look.size
        above = 1.7 * self._look.em if titles else 0.0
        for column, title in enumerate(titles):
            self._figure.text(
                (column + 0.01) / len(views),
                1 - 0.2 * self._look.em / height,
                title,
                fontsize=self._look.font,
                weight="bold",
                va="top",
                color=INK,
                parse_math=False,
            )
        if len(views) == 1:
            names = list(self._kinds)
            columns = min(2, len(names))
            placed = [(name, place // columns, place % columns) for place, name in enumerate(names)]
        else:
            names = list(self._kinds)[:_MOST_ROWS_COMPARED]
            columns = len(views)
            placed = [(name, row, c) for c in range(columns) for row, name in enumerate(names)]
        rows = 1 + max(row for _, row, _ in placed)
        cell = width / columns, (height - above) / rows
        first: dict[str, Panel] = {}
        for name, row, column in placed:
            kind = self._kinds[name]
            left, right, below, top = (em * self._look.em for em in kind.room)
            beside = first.get(name) if kind.shares_height else None
            axes = self._figure.add_axes(
                (
                    (column * cell[0] + left) / width,
                    (height - above - (row + 1) * cell[1] + below) / height,
                    (cell[0] - left - right) / width,
                    (cell[1] - top - below) / height,
                ),
                sharey=beside and beside.axes,
            )
            place = column if len(views) > 1 else 0
            panel = kind(axes, views[place], self._look)
            if beside is not None:
                beside.alike.append(panel)
                panel.alike = beside.alike
            first.setdefault(name, panel)
            self._panels.append((panel, place))
            bottom = height - above - (row + 1) * cell[1]
            self._cells[panel] = Bbox.from_bounds(column * cell[0], bottom, *cell)

    def _png(self) -> bytes:
        size = self._canvas.get_width_height()
        pixels = Image.frombuffer("RGBA", size, self._canvas.buffer_rgba())
        file = io.BytesIO()
        # Run-length encoding suits large plain areas. It is faster than the default, and the file
        # is hardly larger.
        pixels.convert("RGB").save(file, "png", compress_level=1, compress_type=_RUN_LENGTHS)
        return file.getvalue()
