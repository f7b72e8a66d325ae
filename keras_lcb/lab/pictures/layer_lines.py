"""Panels with a line for each layer along training, with a name and a value at its end."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from keras_lcb.lab.pictures.canvas import FAINT, Look, Panel
from keras_lcb.lab.views.view import View
from keras_lcb.plotting.labels import spread
from keras_lcb.plotting.style import PROVISIONAL, depth_colors

_HEAD = (0, (6, 1.5, 1.5, 1.5))
_TALLEST = 10.0
_LARGE = 14  # from this text size on, in points, an axis has fewer numbers


class LayerLines(Panel):
    """One line for each layer along training, with the layer's number and a value at its end."""

    room = (3.4, 6.3, 2.9, 1.8)
    shares_height = True

    def __init__(self, axes: Axes, view: Any, look: Look) -> None:
        super().__init__(axes, view, look)
        self.heights = np.empty(0)  # all values that are drawn
        axes.set_xlim(0, view.updates)
        axes.xaxis.set_major_locator(MaxNLocator(4 if look.font < _LARGE else 2))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        self.axis("updates")
        colors = depth_colors(len(view.layers))
        self._bands = [
            self.moving(axes.fill_between([0], [0], [0], color=color, linewidth=0, visible=False))
            for color in colors
        ]
        self._lines = [self.moving(axes.plot([], [], color=color)[0]) for color in colors]
        self._ends = [
            self.moving(
                axes.text(0, 0, "", color=color, fontsize=look.font, va="center", parse_math=False)
            )
            for color in colors
        ]
        self._names = [*map(str, range(len(view.hidden))), "out"]
        self._labelled = evenly(len(view.layers), look.labelled)

    def values(self, view: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the updates, and the values of each layer at them."""
        raise TypeError(f"{type(self).__name__} must define its method `values`.")

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Returns new limits of the vertical axis; `None` if the present ones fit."""
        return None

    def at_ends(self, view: Any) -> list[str]:
        """Returns the text at the end of each line, after the layer's number."""
        raise TypeError(f"{type(self).__name__} must define its method `at_ends`.")

    def show(self, view: Any, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        steps, values = self.values(view)
        self.heights = values.ravel()
        limits = self.limits(np.concatenate([panel.heights for panel in self.alike]))
        if limits is not None:
            self.axes.set_ylim(*limits)
        for place, line in enumerate(self._lines):
            known = np.isfinite(values[:, place])
            line.set_data(steps[known], values[known, place])
            strength, opacity = stressed(view.layers[place], highlight)
            head = place == len(self._lines) - 1
            width = self.look.line * strength * (0.7 if head else 1)
            line.set(linewidth=width, alpha=opacity, linestyle=_HEAD if head else "solid")
        self._label(self.at_ends(view), view, highlight)
        return limits is not None

    def _label(self, said: list[str], view: Any, highlight: str) -> None:
        """Writes names and values beside the ends of the lines, without overlaps."""
        gap, box = 1.1 * self.look.em, self.axes.bbox
        wanted = []
        for place, (line, text) in enumerate(zip(self._lines, self._ends, strict=True)):
            ends = np.asarray(line.get_xydata())
            named = place in self._labelled or view.layers[place] == highlight
            text.set_visible(named and len(ends) > 0)
            if text.get_visible():
                heights = self.axes.transData.transform(ends)[:, 1]
                end = float(np.clip(heights[-1], box.y0, box.y1))
                # If lines end at the same height, their names are in the order of their means.
                wanted.append((round(end / gap), heights.mean(), place, end))
        wanted.sort()
        ends_at = [end for *_, end in wanted]
        heights = spread(ends_at, gap, box.y0 + 0.5 * gap, max(box.y1, box.y0 + gap * len(wanted)))
        across = self.axes.transData.inverted()
        for (_, _, place, _), height in zip(wanted, heights, strict=True):
            _, opacity = stressed(view.layers[place], highlight)
            self._ends[place].set(
                text=f" {self._names[place]}: {said[place]}",
                position=across.transform((box.x1, height)),
                alpha=max(opacity, 0.55),
            )


class Distance(LayerLines):
    """The distance of each layer to its end."""

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("distance to the end")
        self._beside = axes.annotate(
            " half-way at",
            (1, 1),
            (0, 0.35 * look.font),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=look.font,
            color=FAINT,
        )
        axes.set_ylim(0, 1.12)
        axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
        axes.axhline(0.5, color=FAINT, linestyle=":", linewidth=1)
        self._note = self.moving(
            axes.text(
                0.99,
                0.99,
                "provisional",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=look.font,
                color=FAINT,
                style="italic",
            )
        )

    def values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Returns the updates, and the normalised distances at them."""
        return view.distance_steps, view.distance

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Returns limits with room for layers that first move away from their end."""
        top = self.axes.get_ylim()[1]
        highest = float(np.max(values, initial=1.0, where=np.isfinite(values)))
        wanted = 1.12 if highest <= 1.1 else min(_TALLEST, 1.3 * highest)
        fits = highest <= top <= 1.6 * wanted or top == wanted
        return None if fits else (0, wanted)

    def at_ends(self, view: View) -> list[str]:
        """Returns when each layer is half-way, since the distances themselves all end at 0."""
        return [f"{when:,.0f}" if np.isfinite(when) else "–" for when in view.half_way]

    def show(self, view: View, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        changed = super().show(view, highlight)
        self._note.set_visible(view.provisional)
        for place, (line, band) in enumerate(zip(self._lines, self._bands, strict=True)):
            if view.provisional and place < len(self._lines) - 1:
                line.set_linestyle(PROVISIONAL)
            band.set_visible(view.spread is not None)
            if view.spread is not None:
                low, high = (edge[:, place] for edge in view.spread)
                _, opacity = stressed(view.layers[place], highlight)
                band.set_data(view.distance_steps, low, high)
                band.set_alpha(0.2 * opacity)
        return changed


class LogLines(LayerLines):
    """Lines on a logarithmic axis."""

    def __init__(self, axes: Axes, view: Any, look: Look) -> None:
        super().__init__(axes, view, look)
        axes.set_ylim(1e-2, 1.0)
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Returns powers of ten that enclose all values."""
        finite = values[np.isfinite(values) & (values > 0)]
        if not finite.size:
            return None
        low = 10 ** max(np.floor(np.log10(finite.min())), -12)
        high = 10 ** min(np.ceil(np.log10(finite.max())), 12)
        wanted = (low, max(high, 10 * low))
        return None if np.allclose(self.axes.get_ylim(), wanted) else wanted


def stressed(layer: str, highlight: str) -> tuple[float, float]:
    """Returns the relative line width and the opacity of a layer, given the highlighted one."""
    if not highlight:
        return 1.0, 1.0
    return (1.7, 1.0) if layer == highlight else (1.0, 0.25)


def evenly(count: int, most: int) -> set[int]:
    """Returns the indices of at most `most` out of `count` layers, at equal intervals."""
    if count <= most:
        return set(range(count))
    return {round(place) for place in np.linspace(0, count - 1, most)}


def number(value: float) -> str:
    """Returns a value as a short text."""
    if not np.isfinite(value):
        return "–"
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2f}"
    if 0.001 <= abs(value) < 0.01:
        return f"{value:.3f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
