"""The pictures of a lab as one PNG, drawn ten times a second: only what changed is drawn again.

Object-oriented Matplotlib with Agg throughout: pyplot and `rc_context` change what all threads
share. Axes, ticks and titles are drawn once and kept as a background; each new view is drawn over
it, unless a limit changes.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from keras_lcb.lab.view import View
from keras_lcb.plotting.labels import spread
from keras_lcb.plotting.style import PROVISIONAL, depth_colors

PICTURES = ("distance", "gradient", "function", "frequency")

# Matplotlib's caches of fonts and text serve one thread at a time, in all labs together.
DRAWING = threading.RLock()

_DPI = 96  # at which a point is 4/3 of a CSS pixel
_INK, _FAINT = "#222222", "#767676"


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


DESK = Look(font=10, line=1.8, labelled=8, size=(940, 600))
PROJECTOR = Look(font=16, line=3, labelled=6, size=(940, 610))


class Pictures:
    """Draws views, and gives the result as PNG or as a file for export.

    Args:
        names: Which of `PICTURES` to show, in reading order.
        look: How large things are.
    """

    def __init__(self, names: Sequence[str] = PICTURES, look: Look = DESK) -> None:
        unknown = [name for name in names if name not in PICTURES]
        if unknown or not names:
            raise ValueError(
                f"`pictures` names one or more of {', '.join(PICTURES)}, got {list(names)!r}."
            )
        self.names = tuple(names)
        self.look = look
        self._figure = Figure(
            figsize=(look.size[0] / _DPI, look.size[1] / _DPI), dpi=_DPI, facecolor="white"
        )
        self._canvas = FigureCanvasAgg(self._figure)
        self._panels: list[Panel] = []
        self._shape: tuple[Any, ...] = ()
        self._background: Any = None

    def draw(self, views: Sequence[View], highlight: str = "", titles: Sequence[str] = ()) -> bytes:
        """Draw one view, or two side by side, and return a PNG.

        Args:
            views: One view, or two to compare.
            highlight: Name of a layer that stands out everywhere.
            titles: What stands above each of two views.
        """
        with DRAWING:
            self._update(views, highlight, titles)
            return self._encoded()

    def export(self, kind: str) -> bytes:
        """Return what was drawn last as "png", in twice the resolution, or "svg"."""
        with DRAWING:
            for panel in self._panels:
                panel.animate(False)
            file = io.BytesIO()
            # Text stays text, and the same run gives the same file.
            with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "keras_lcb"}):
                metadata = {"Date": None} if kind == "svg" else None
                self._figure.savefig(file, format=kind, dpi=2 * _DPI, metadata=metadata)
            self._figure.set_dpi(_DPI)
            for panel in self._panels:
                panel.animate(True)
            self._background = None
            return file.getvalue()

    def _update(self, views: Sequence[View], highlight: str, titles: Sequence[str]) -> None:
        shape = (*(_shape(view) for view in views), tuple(titles))
        if shape != self._shape:
            self._arrange(views, titles)
            self._shape = shape
        changed = [panel.show(views[panel.column], highlight, self.look) for panel in self._panels]
        if any(changed) or self._background is None:
            self._canvas.draw()
            self._background = self._canvas.copy_from_bbox(self._figure.bbox)
        else:
            self._canvas.restore_region(self._background)
        for panel in self._panels:
            for artist in panel.moving():
                panel.axes.draw_artist(artist)

    def _arrange(self, views: Sequence[View], titles: Sequence[str]) -> None:
        """Begin anew: axes for each picture of each view."""
        self._figure.clear()
        self._background = None
        width, height = self.look.size
        em = self.look.font * _DPI / 72
        if len(views) == 1:
            cells = _grid(len(self.names))
            placed = [(name, cell, 0) for name, cell in zip(self.names, cells, strict=True)]
        else:
            names = self.names[:1] + self.names[2:3] if len(self.names) > 2 else self.names
            placed = [
                (name, (row, column, len(names), len(views)), column)
                for column in range(len(views))
                for row, name in enumerate(names)
            ]
        top = 1.8 * em if titles else 0.2 * em
        for column, title in enumerate(titles):
            self._figure.text(
                (column + 0.02) / len(views),
                1 - 0.3 * em / height,
                title,
                fontsize=self.look.font,
                weight="bold",
                va="top",
                color=_INK,
                parse_math=False,
            )
        self._panels = []
        for name, (row, column, rows, columns), place in placed:
            cell_width, cell_height = width / columns, (height - top) / rows
            left, right = (6.6 if name == "frequency" else 3.8) * em, _MARGIN[name] * em
            above, below = 1.9 * em, 3.0 * em
            box = (
                (column * cell_width + left) / width,
                (height - top - (row + 1) * cell_height + below) / height,
                (cell_width - left - right) / width,
                (cell_height - above - below) / height,
            )
            axes = self._figure.add_axes(box)
            _plain(axes, self.look)
            self._panels.append(_KINDS[name](axes, views[place], place, self.look))

    def _encoded(self) -> bytes:
        pixels = Image.frombuffer(
            "RGBA", self._canvas.get_width_height(), self._canvas.buffer_rgba()
        )
        # A palette of 128 colours takes a third of the bytes, and no longer.
        indexed = pixels.convert("RGB").quantize(128, method=Image.Quantize.FASTOCTREE)
        file = io.BytesIO()
        indexed.save(file, "png", compress_level=1)
        return file.getvalue()


class Panel:
    """One picture on its axes."""

    title = ""

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        self.axes = axes
        self.column = column
        axes.set_title(self.title, loc="left", fontsize=look.font, color=_INK, pad=0.35 * look.font)
        self._artists: list[Artist] = []

    def show(self, view: View, highlight: str, look: Look) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        raise TypeError(f"{type(self).__name__} shows nothing.")

    def moving(self) -> list[Artist]:
        """What is drawn over the background."""
        return [artist for artist in self._artists if artist.get_visible()]

    def animate(self, moving: bool) -> None:
        """Draw the changing parts over the background, or together with it for export."""
        for artist in self._artists:
            artist.set_animated(moving)

    def _keep(self, artist: Any) -> Any:
        artist.set_animated(True)
        self._artists.append(artist)
        return artist


class _LayerLines(Panel):
    """One line a layer along training, with its number and its newest value at the end."""

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        super().__init__(axes, view, column, look)
        axes.set_xlim(0, view.updates)
        axes.set_xlabel("updates", fontsize=look.font, color=_INK, labelpad=1)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
        colors = depth_colors(len(view.layers))
        self._bands = [
            self._keep(axes.fill_between([0], [0], [0], color=color, alpha=0.15, linewidth=0))
            for color in colors
        ]
        self._lines = [self._keep(axes.plot([], [], color=color)[0]) for color in colors]
        self._ends = [
            self._keep(
                axes.text(0, 0, "", color=color, fontsize=look.font, va="center", clip_on=False)
            )
            for color in colors
        ]
        self._labelled = _evenly(len(view.layers), look.labelled)

    def _values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        raise TypeError(f"{type(self).__name__} has no values.")

    def _limits(self, values: np.ndarray) -> bool:
        return False

    def show(self, view: View, highlight: str, look: Look) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        steps, values = self._values(view)
        changed = self._limits(values)
        for place, line in enumerate(self._lines):
            known = np.isfinite(values[:, place])
            line.set_data(steps[known], values[known, place])
            head = place == len(self._lines) - 1
            line.set_linestyle(_HEAD if head else PROVISIONAL if self._open(view) else "solid")
            strong, alpha = _strength(view.layers[place], highlight)
            line.set(linewidth=strong * look.line * (0.7 if head else 1), alpha=alpha)
            self._bands[place].set_visible(False)
        self._label(view, highlight, look)
        return changed

    def _open(self, view: View) -> bool:
        return False

    def _label(self, view: View, highlight: str, look: Look) -> None:
        gap = 1.1 * look.font * _DPI / 72
        box = self.axes.bbox
        ends = []
        for place, (line, text) in enumerate(zip(self._lines, self._ends, strict=True)):
            data = np.asarray(line.get_xydata())
            named = view.layers[place] == highlight or (place in self._labelled and not highlight)
            named = named or (place in self._labelled and highlight not in view.layers)
            text.set_visible(bool(len(data)) and (named or place in self._labelled))
            if text.get_visible():
                height = self.axes.transData.transform(data[-1])[1]
                mean = self.axes.transData.transform(data)[:, 1].mean()
                ends.append((float(np.clip(height, box.y0, box.y1)), mean, place, data[-1]))
        ends.sort(key=lambda end: (round(end[0] / gap), end[1]))
        heights = spread([end[0] for end in ends], gap, box.y0 - gap / 2, box.y1)
        for (_, _, place, (_x, y)), height in zip(ends, heights, strict=True):
            at = self.axes.transData.inverted().transform((box.x1, height))
            _, alpha = _strength(view.layers[place], highlight)
            name = "out" if place == len(self._lines) - 1 else str(place)
            self._ends[place].set(
                text=f" {name}: {_number(y)}", position=(at[0], at[1]), alpha=max(alpha, 0.5)
            )


class Distance(_LayerLines):
    """How far each layer is from where it ends."""

    title = "distance to the end"

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        super().__init__(axes, view, column, look)
        axes.set_ylim(0, 1.12)
        axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        axes.axhline(0.5, color=_FAINT, linestyle=":", linewidth=1)
        self._note = self._keep(
            axes.text(
                0.98,
                0.97,
                "provisional: to the newest weights",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=0.85 * look.font,
                color=_FAINT,
                style="italic",
            )
        )

    def _values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        return view.distance_steps, view.distance

    def _open(self, view: View) -> bool:
        return view.provisional

    def _limits(self, values: np.ndarray) -> bool:
        highest = np.nanmax(values, initial=1.0, where=np.isfinite(values))
        top = 1.12 if highest <= 1.1 else min(10.0, 1.3 * highest)
        if self.axes.get_ylim()[1] >= highest and self.axes.get_ylim()[1] <= 2 * top:
            return False
        self.axes.set_ylim(0, top)
        return True

    def show(self, view: View, highlight: str, look: Look) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        changed = super().show(view, highlight, look)
        self._note.set_visible(view.provisional)
        if view.spread is not None:
            for place, band in enumerate(self._bands):
                low, high = (edge[:, place] for edge in view.spread)
                band.set_data(view.distance_steps, low, high)
                band.set(visible=True, alpha=0.2 * _strength(view.layers[place], highlight)[1])
        return changed


class Gradient(_LayerLines):
    """How large each layer's gradient is."""

    title = "gradient norm"

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        super().__init__(axes, view, column, look)
        axes.set_ylim(1e-2, 1.0)
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())

    def _values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        return view.steps, np.where(view.gradient > 0, view.gradient, np.nan)

    def _limits(self, values: np.ndarray) -> bool:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return False
        low, high = self.axes.get_ylim()
        wanted = 10 ** np.floor(np.log10(finite.min())), 10 ** np.ceil(np.log10(finite.max()))
        wanted = max(wanted[0], 1e-12), min(max(wanted[1], 10 * wanted[0]), 1e12)
        if np.allclose((low, high), wanted):
            return False
        self.axes.set_ylim(*wanted)
        return True


class FunctionPicture(Panel):
    """What is to be learned, what the network puts out, and what each layer adds to it."""

    title = "target and prediction"

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        super().__init__(axes, view, column, look)
        axes.set_xlim(view.x[0], view.x[-1])
        axes.set_xlabel("x", fontsize=look.font, color=_INK, labelpad=1)
        low, high = view.target.min(), view.target.max()
        room = 0.35 * (high - low)
        axes.set_ylim(low - room, high + room)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        (target,) = axes.plot(view.x, view.target, color="#bbbbbb", linewidth=2.6 * look.line)
        colors = depth_colors(len(view.layers))
        self._parts = [
            self._keep(axes.plot(view.x, np.full_like(view.x, np.nan), color=color)[0])
            for color in colors
        ]
        (self._prediction,) = axes.plot(view.x, view.prediction, color=_INK, linewidth=look.line)
        self._keep(self._prediction)
        said = "what each layer adds" if view.contribution is not None else ""
        handles = [target, self._prediction, *([self._parts[0]] if said else [])]
        names = ["target", "prediction", *([said] if said else [])]
        axes.legend(
            handles,
            names,
            fontsize=0.85 * look.font,
            frameon=False,
            loc="lower right",
            bbox_to_anchor=(1.02, 0.98),
            ncols=3,
            handlelength=1.1,
            columnspacing=0.8,
            borderpad=0,
            handletextpad=0.4,
        )
        axes.set_title("")

    def show(self, view: View, highlight: str, look: Look) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        self._prediction.set_ydata(view.prediction)
        if view.contribution is not None:
            for place, line in enumerate(self._parts):
                strong, alpha = _strength(view.layers[place], highlight)
                line.set(
                    ydata=view.contribution[place], linewidth=0.6 * strong * look.line, alpha=alpha
                )
        low, high = self.axes.get_ylim()
        values = view.prediction[np.isfinite(view.prediction)]
        if view.contribution is not None:
            values = np.concatenate([values, view.contribution.ravel()])
        span = view.target.max() - view.target.min()
        lowest = float(np.clip(np.min(values, initial=0), view.target.min() - 3 * span, None))
        highest = float(np.clip(np.max(values, initial=0), None, view.target.max() + 3 * span))
        if lowest >= low and highest <= high:
            return False
        self.axes.set_ylim(min(low, lowest - 0.1 * span), max(high, highest + 0.1 * span))
        return True


class Frequency(Panel):
    """Which layer carries which frequency, now."""

    title = "layer × frequency"

    def __init__(self, axes: Axes, view: View, column: int, look: Look) -> None:
        super().__init__(axes, view, column, look)
        rows, columns = len(view.hidden), len(view.frequencies)
        share = view.carries == "share"
        axes.set_title(
            "share of each frequency" if share else "frequency carried (R²)",
            loc="left",
            fontsize=look.font,
            color=_INK,
            pad=0.35 * look.font,
        )
        norm = TwoSlopeNorm(0, -1, 1) if share else Normalize(0, 1)
        self._mesh = self._keep(
            axes.pcolormesh(
                np.zeros((rows, columns)), cmap="RdBu_r" if share else "viridis", norm=norm
            )
        )
        axes.set_xticks(np.arange(columns) + 0.5, [str(k) for k in view.frequencies])
        axes.set_xlabel("wave number", fontsize=look.font, color=_INK, labelpad=1)
        shown = sorted(_evenly(rows, look.labelled))
        axes.set_yticks([row + 0.5 for row in shown], [view.layers[row] for row in shown])
        axes.tick_params(length=0)
        self._numbers = [
            self._keep(
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    "",
                    ha="center",
                    va="center",
                    fontsize=0.85 * look.font,
                )
            )
            for row in (shown if rows <= look.labelled else ())
            for column in range(columns)
        ]
        self._frame = self._keep(
            Rectangle((0, 0), columns, 1, fill=False, edgecolor="#ff7f0e", linewidth=2 * look.line)
        )
        axes.add_patch(self._frame)

    def show(self, view: View, highlight: str, look: Look) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        cells = view.carried[: len(view.hidden)]
        self._mesh.set_array(np.where(np.isfinite(cells), cells, 0.0))
        if self._numbers:
            for text, value in zip(self._numbers, cells.ravel(), strict=True):
                red, green, blue, _ = self._mesh.cmap(self._mesh.norm(value))
                bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45
                text.set(text=_number(value), color="black" if bright else "white")
        self._frame.set_visible(highlight in view.hidden)
        if highlight in view.hidden:
            self._frame.set_y(view.hidden.index(highlight))
        return False


_KINDS: dict[str, type[Panel]] = {
    "distance": Distance,
    "gradient": Gradient,
    "function": FunctionPicture,
    "frequency": Frequency,
}
_MARGIN = {"distance": 4.8, "gradient": 5.2, "function": 1.2, "frequency": 1.2}  # right, in em
_HEAD = (0, (6, 1.5, 1.5, 1.5))


def _shape(view: View) -> tuple[Any, ...]:
    """What a change of makes other axes necessary."""
    return (
        view.layers,
        view.updates,
        tuple(view.frequencies),
        view.carries,
        view.target.tobytes(),
    )


def _grid(count: int) -> list[tuple[int, int, int, int]]:
    """Row, column and numbers of both for so many pictures."""
    if count <= 2:
        return [(0, column, 1, count) for column in range(count)]
    return [(place // 2, place % 2, 2, 2) for place in range(count)]


def _strength(layer: str, highlight: str) -> tuple[float, float]:
    """How strong and how opaque a layer is drawn beside a highlighted one."""
    if not highlight:
        return 1.0, 1.0
    return (1.7, 1.0) if layer == highlight else (1.0, 0.25)


def _evenly(count: int, most: int) -> set[int]:
    if count <= most:
        return set(range(count))
    return {round(place) for place in np.linspace(0, count - 1, most)}


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 0.001 or abs(value) >= 1000):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3f}"


def _plain(axes: Axes, look: Look) -> None:
    axes.tick_params(labelsize=look.font, colors=_INK, pad=2, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
