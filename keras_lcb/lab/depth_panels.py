"""The four pictures of `DepthLab`: distances, gradients, functions, frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from keras_lcb.lab.canvas import FAINT, INK, Look, Panel
from keras_lcb.lab.view import View
from keras_lcb.plotting.labels import spread
from keras_lcb.plotting.style import PROVISIONAL, depth_colors

_HEAD = (0, (6, 1.5, 1.5, 1.5))
_FRAME = "#ff7f0e"
_TALLEST = 10.0


class LayerLines(Panel):
    """One line a layer along training, with its number and a value at the end."""

    room = (3.4, 6.3, 2.9, 1.8)

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        axes.set_xlim(0, view.updates)
        axes.xaxis.set_major_locator(MaxNLocator(4))
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

    def values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """The updates, and the values of each layer at them."""
        raise TypeError(f"{type(self).__name__} has no values.")

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Limits of the vertical axis, or `None` where the present ones do."""
        return None

    def at_ends(self, view: View) -> list[str]:
        """What stands at the end of each line."""
        raise TypeError(f"{type(self).__name__} says nothing at its ends.")

    def show(self, view: View, highlight: str) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
        steps, values = self.values(view)
        limits = self.limits(values)
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

    def _label(self, said: list[str], view: View, highlight: str) -> None:
        """Put names and values beside the ends of the lines, apart from each other."""
        gap, box = 1.1 * self.look.em, self.axes.bbox
        wanted = []
        for place, (line, text) in enumerate(zip(self._lines, self._ends, strict=True)):
            ends = np.asarray(line.get_xydata())
            named = place in self._labelled or view.layers[place] == highlight
            text.set_visible(named and len(ends) > 0)
            if text.get_visible():
                heights = self.axes.transData.transform(ends)[:, 1]
                end = float(np.clip(heights[-1], box.y0, box.y1))
                # Where lines end together, names stand in the order in which they came down.
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
    """How far each layer is from where it ends."""

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
        """The updates, and the normalised distances at them."""
        return view.distance_steps, view.distance

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Room for layers that go away from where they end before they come back."""
        top = self.axes.get_ylim()[1]
        highest = float(np.max(values, initial=1.0, where=np.isfinite(values)))
        wanted = 1.12 if highest <= 1.1 else min(_TALLEST, 1.3 * highest)
        fits = highest <= top <= 1.6 * wanted or top == wanted
        return None if fits else (0, wanted)

    def at_ends(self, view: View) -> list[str]:
        """When each layer is half-way: the distances themselves all end at 0."""
        return [f"{when:,.0f}" if np.isfinite(when) else "–" for when in view.half_way]

    def show(self, view: View, highlight: str) -> bool:
        """Take in a view; return whether the background has to be drawn again."""
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


class Gradient(LayerLines):
    """How large each layer's gradient is."""

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("gradient norm")
        axes.set_ylim(1e-2, 1.0)
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())

    def values(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """The updates, and the RMS norms since the record before."""
        return view.steps, np.where(view.gradient > 0, view.gradient, np.nan)

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Whole powers of ten around all values."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        low = 10 ** max(np.floor(np.log10(finite.min())), -12)
        high = 10 ** min(np.ceil(np.log10(finite.max())), 12)
        wanted = (low, max(high, 10 * low))
        return None if np.allclose(self.axes.get_ylim(), wanted) else wanted

    def at_ends(self, view: View) -> list[str]:
        """The newest norms."""
        return [number(value) for value in view.gradient[-1]]


class FunctionPicture(Panel):
    """What is to be learned, what the network puts out, and what each layer adds to it."""

    room = (3.4, 1.0, 2.9, 1.8)

    def __init__(self, axes: Axes, view: View, look: Look) -> None:
        super().__init__(axes, view, look)
        self.axis("x")
        axes.set_xlim(view.x[0], view.x[-1])
        self._low, self._high = float(view.target.min()), float(view.target.max())
        self._span = self._high - self._low
        axes.set_ylim(self._low - 0.2 * self._span, self._high + 0.2 * self._span)
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
        # In place of a title, so that nothing in the picture is covered.
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
        """Take in a view; return whether the background has to be drawn again."""
        self._prediction.set_ydata(view.prediction)
        drawn = [view.prediction]
        if view.contribution is not None:
            drawn.extend(view.contribution)
            for place, line in enumerate(self._parts):
                strength, opacity = stressed(view.layers[place], highlight)
                width = 0.7 * strength * self.look.line
                line.set(ydata=view.contribution[place], linewidth=width, alpha=opacity)
        return self._make_room(np.concatenate(drawn))

    def _make_room(self, values: np.ndarray) -> bool:
        """Widen the limits for what has outgrown them, up to three times the target."""
        low, high = self.axes.get_ylim()
        room = 0.2 * self._span
        finite = values[np.isfinite(values)]
        lowest = max(float(np.min(finite, initial=self._low)), self._low - 3 * self._span)
        highest = min(float(np.max(finite, initial=self._high)), self._high + 3 * self._span)
        if lowest >= low and highest <= high:
            return False
        self.axes.set_ylim(min(low, lowest - room), max(high, highest + room))
        return True


class Frequency(Panel):
    """Which layer carries which frequency, now."""

    room = (5.4, 0.8, 2.9, 1.8)
    every = 3  # it has the most text

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
        """Take in a view; return whether the background has to be drawn again."""
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
    """What a change of makes other axes necessary."""
    frequencies = tuple(view.frequencies.tolist())
    return view.layers, view.updates, frequencies, view.carries, view.target.tobytes()


def stressed(layer: str, highlight: str) -> tuple[float, float]:
    """How strong and how opaque a layer is drawn beside the one that is highlighted."""
    if not highlight:
        return 1.0, 1.0
    return (1.7, 1.0) if layer == highlight else (1.0, 0.25)


def evenly(count: int, most: int) -> set[int]:
    """Which of `count` layers are named where there is room for `most`."""
    if count <= most:
        return set(range(count))
    return {round(place) for place in np.linspace(0, count - 1, most)}


def number(value: float) -> str:
    """A value in few letters."""
    if not np.isfinite(value):
        return "–"
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2f}"
    if 0.001 <= abs(value) < 0.01:
        return f"{value:.3f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
