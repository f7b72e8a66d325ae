"""The pictures of `DepthLab`: distances, gradients, functions, frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from keras_lcb.lab.pictures.canvas import INK, Look, Panel
from keras_lcb.lab.pictures.layer_lines import Distance, LogLines, evenly, number, stressed
from keras_lcb.lab.views.view import View
from keras_lcb.plotting.style import depth_colors

_FRAME = "#ff7f0e"


class Gradient(LogLines):
    """How large each layer's gradient is."""

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("gradient norm")

    def values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Returns the updates, and the RMS norms since the previous record."""
        return view.steps, np.where(view.gradient > 0, view.gradient, np.nan)

    def at_ends(self, view: View) -> list[str]:
        """Returns the newest norms."""
        return [number(value) for value in view.gradient[-1]]


class FunctionPicture(Panel):
    """The target, the output of the network, and what each layer adds to it."""

    room = (3.4, 1.0, 2.9, 1.8)
    shares_height = True

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        self.axis("x")
        axes.set_xlim(view.x[0], view.x[-1])
        self.target = view.target
        self.heights = view.target  # all values that are drawn
        room = 0.2 * np.ptp(view.target)
        axes.set_ylim(view.target.min() - room, view.target.max() + room)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        (target,) = axes.plot(view.x, view.target, color="#b5b5b5", linewidth=2.6 * look.line)
        nothing = np.full_like(view.x, np.nan)
        self._parts = [
            self.moving(axes.plot(view.x, nothing, color=color)[0])
            for color in depth_colors(len(view.layers))
        ]
        (prediction,) = axes.plot(view.x, nothing, color=INK, linewidth=look.line)
        self._prediction = self.moving(prediction)
        named = {"target": target, "prediction": prediction}
        if view.contribution is not None:
            named["layers"] = self._parts[len(self._parts) // 2]
        # The legend replaces the title, so that it covers nothing.
        axes.legend(
            named.values(),
            named.keys(),
            fontsize=look.font,
            labelcolor=INK,
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=3,
            handlelength=0.9,
            columnspacing=0.9,
            handletextpad=0.3,
            borderaxespad=0,
            borderpad=0.15,
        )

    def show(self, view: View, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        self._prediction.set_ydata(view.prediction)
        drawn = [view.prediction]
        if view.contribution is not None:
            drawn.extend(view.contribution)
            for place, line in enumerate(self._parts):
                strength, opacity = stressed(view.layers[place], highlight)
                width = 0.7 * strength * self.look.line
                line.set(ydata=view.contribution[place], linewidth=width, alpha=opacity)
        self.heights = np.concatenate(drawn)
        return self._make_room()

    def _make_room(self) -> bool:
        """Widens the limits if values exceed them, up to three times the target's range."""
        low, high = self.axes.get_ylim()
        targets = np.concatenate([panel.target for panel in self.alike])
        span = np.ptp(targets)
        room = 0.2 * span
        values = np.concatenate([panel.heights for panel in self.alike])
        finite = values[np.isfinite(values)]
        lowest = max(np.min(finite, initial=targets.min()), targets.min() - 3 * span)
        highest = min(np.max(finite, initial=targets.max()), targets.max() + 3 * span)
        if lowest >= low and highest <= high:
            return False
        self.axes.set_ylim(min(low, lowest - room), max(high, highest + room))
        return True


class Frequency(Panel):
    """How much of each frequency each layer carries at the newest record."""

    room = (5.4, 0.8, 2.9, 1.8)
    every = 3  # slow to draw, since it has the most text

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        rows, columns = len(view.hidden), len(view.frequencies)
        share = view.carries == "share"
        self.title("share of each frequency" if share else "frequency carried (R²)")
        self.axis("wave number")
        self._mesh = self.moving(
            axes.pcolormesh(
                np.zeros((rows, columns)),
                cmap="RdBu_r" if share else "viridis",
                norm=TwoSlopeNorm(0, -1, 1) if share else Normalize(0, 1),
            )
        )
        axes.set_xticks(np.arange(columns) + 0.5, [str(k) for k in view.frequencies])
        named = sorted(evenly(rows, look.labelled))
        axes.set_yticks([row + 0.5 for row in named], [view.layers[row] for row in named])
        axes.tick_params(length=0)
        size = min(look.font, 0.75 * axes.bbox.height / rows * 72 / axes.figure.dpi)
        self._numbers = [
            self.moving(
                axes.text(column + 0.5, row + 0.5, "", ha="center", va="center", fontsize=size)
            )
            for row in range(rows)
            for column in range(columns)
        ]
        frame = Rectangle((0, 0), columns, 1, fill=False, edgecolor=_FRAME, linewidth=2 * look.line)
        self._frame = self.moving(axes.add_patch(frame))

    def show(self, view: View, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        cells = view.carried[: len(view.hidden)]
        self._mesh.set_array(np.where(np.isfinite(cells), cells, 0.0))
        for text, value in zip(self._numbers, cells.ravel(), strict=True):
            red, green, blue, _ = self._mesh.cmap(self._mesh.norm(value))
            bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.45
            text.set(text=f"{value:.2f}" if np.isfinite(value) else "–", color=_ON[bright])
        self._frame.set_visible(highlight in view.hidden)
        if highlight in view.hidden:
            self._frame.set_y(view.hidden.index(highlight))
        return False


_ON = {True: "black", False: "white"}

DEPTH_PANELS: dict[str, type[Panel]] = {
    "distance": Distance,
    "function": FunctionPicture,
    "gradient": Gradient,
    "frequency": Frequency,
}


def depth_outline(view: View) -> tuple[Any, ...]:
    """Returns the properties of a view that determine the axes."""
    frequencies = tuple(view.frequencies.tolist())
    return view.layers, view.updates, frequencies, view.carries, view.target.tobytes()
