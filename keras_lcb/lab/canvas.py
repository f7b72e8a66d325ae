"""The pictures of a lab as one PNG, drawn ten times a second: only what changed is drawn again.

Object-oriented Matplotlib with Agg throughout: pyplot changes what all threads share. Axes, ticks
and titles are drawn once and kept as a background; each new view is drawn over it, unless a limit
changes.
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

# Matplotlib's caches of fonts and text serve one thread at a time, in all labs together.
DRAWING = threading.RLock()

DPI = 96  # at which a point is 4/3 of a CSS pixel
INK, FAINT = "#222222", "#767676"
_MOST_ROWS_COMPARED = 2
_RUN_LENGTHS = 3  # zlib.Z_RLE


@dataclass(frozen=True)
class Look:
    """How large things are.

    Attributes:
        font: Size of text in points.
        line: Width of lines in points.
        labelled: Most layers named at the ends of their lines.
        size: Width and height of the whole in pixels.
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
    """One picture on its axes. Subclasses draw what they show of a view.

    Args:
        axes: Where it is drawn.
        view: The first view.
        look: How large things are.
    """

    # Room beside the axes in em: left, right, below, above.
    room = (3.8, 1.0, 2.9, 1.8)
    # Pictures from one drawing to the next while training runs: more than 1 for what is costly.
    every = 1
    # Whether pictures of two views have one vertical axis.
    shares_height = False

    def __init__(self, axes: Axes, view: Any, look: Look) -> None:
        self.axes = axes
        self.look = look
        self._moving: list[Artist] = []
        self.shown: tuple[Any, str] | None = None  # view and highlighted layer
        self.alike: list[Any] = [self]  # the panels that have this vertical axis
        axes.tick_params(labelsize=look.font, colors=INK, pad=2, which="both")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)

    def show(self, view: Any, highlight: str) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        raise TypeError(f"{type(self).__name__} shows nothing.")

    def shows(self, view: Any, highlight: str) -> bool:
        """Whether this is what it shows already."""
        return self.shown is not None and self.shown[0] is view and self.shown[1] == highlight

    def title(self, text: str) -> None:
        """Set the title."""
        size = self.look.font
        self.axes.set_title(text, loc="left", fontsize=size, color=INK, pad=0.35 * size)

    def axis(self, text: str) -> None:
        """Say what the horizontal axis is."""
        self.axes.set_xlabel(text, fontsize=self.look.font, color=INK, labelpad=1)

    def draw_moving(self) -> None:
        """Draw what changes from view to view over the background."""
        for artist in self._moving:
            if artist.get_visible():
                self.axes.draw_artist(artist)

    def still(self, still: bool) -> None:
        """Let the background hold everything, for an export, or leave out what moves."""
        for artist in self._moving:
            artist.set_animated(not still)

    def moving(self, artist: Any) -> Any:
        """Return an artist that from now on is drawn over the background."""
        artist.set_animated(True)
        self._moving.append(artist)
        return artist


class Canvas:
    """Draws views, and gives the result as PNG or as a file for export.

    Args:
        panels: The pictures by name, in reading order.
        look: How large things are.
        outline: What a view must have in common with the last one for the axes to stay.
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
        self._panels: list[tuple[Panel, int]] = []  # and which view each shows
        self._cells: dict[Panel, Bbox] = {}  # what each panel has for itself
        self._arranged: Any = None
        self._backgrounds: dict[Panel, Any] = {}  # all that does not move
        self._count = 0

    def draw(
        self,
        views: Sequence[Any],
        highlight: str = "",
        titles: Sequence[str] = (),
        *,
        live: bool = False,
    ) -> bytes:
        """Draw one view, or two side by side, and return a PNG.

        Args:
            views: One view, or two to compare.
            highlight: Name of a layer that stands out everywhere.
            titles: What stands above each view; nothing by default.
            live: Whether there will soon be another: then costly pictures may wait for it.
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
            # All of them: each takes its view in.
            changed = [panel.show(*shown) for panel, shown in due]
            for panel, shown in due:
                panel.shown = shown
            if any(changed) or not self._backgrounds:
                for panel, _ in self._panels:
                    if panel.shown is not None and len(panel.alike) > 1:
                        panel.show(*panel.shown)  # on the axis that all of them need
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
        """Return a PNG that says there is nothing yet, so that the page keeps its shape."""
        with DRAWING:
            self._figure.clear()
            self._panels, self._arranged, self._backgrounds = [], None, {}
            self._figure.text(
                0.03, 0.95, "No picture yet.", fontsize=self._look.font, va="top", color=FAINT
            )
            self._canvas.draw()
            return self._png()

    def export(self, kind: str) -> bytes:
        """Return what was drawn last as "png", at twice the resolution, or as "svg"."""
        with DRAWING:
            for panel, _ in self._panels:
                panel.still(True)
            file = io.BytesIO()
            metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
            # Text stays text, and the same view gives the same file.
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_lcb"}):
                self._figure.savefig(file, format=kind, dpi=2 * DPI, metadata=metadata)
            for panel, _ in self._panels:
                panel.still(False)
            self._backgrounds = {}
            return file.getvalue()

    def _arrange(self, views: Sequence[Any], titles: Sequence[str]) -> None:
        """Begin anew, with axes for each picture of each view."""
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
        # Run lengths suit large even areas: quicker than the default, and hardly larger.
        pixels.convert("RGB").save(file, "png", compress_level=1, compress_type=_RUN_LENGTHS)
        return file.getvalue()
