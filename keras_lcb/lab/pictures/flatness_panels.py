"""The pictures of `FlatnessLab`: stable learning rates, slices of the loss, gradient changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from keras_lcb.lab.pictures.canvas import FAINT, Look, Panel
from keras_lcb.lab.pictures.layer_lines import Distance, LogLines, number
from keras_lcb.lab.views.flatness_view import FlatnessView


class Slices(LogLines):
    """The loss along random directions within each layer, at the newest moment."""

    def __init__(self, axes: Axes, view: FlatnessView, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("slices of the loss")
        axes.set_xlim(view.alphas[0], view.alphas[-1])
        axes.set_xticks([-1, 0, 1], ["−1", "0", "1"])
        self.axis("filter norms away")

    def values(self, view: FlatnessView) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions, and the losses of each layer at them."""
        return view.alphas, view.slices.T

    def at_ends(self, view: FlatnessView) -> list[str]:
        """Returns the losses at the right end."""
        return [number(value) for value in view.slices[:, -1]]


class _AtMoments(LogLines):
    """Lines with a mark at each measured moment."""

    def __init__(self, axes: Axes, view: FlatnessView, look: Look) -> None:
        super().__init__(axes, view, look)
        for line in self._lines:
            line.set(marker="o", markersize=2.2 * look.line)


class Rates(_AtMoments):
    """The largest stable learning rate of each layer if it alone moves."""

    def __init__(self, axes: Axes, view: FlatnessView, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("largest stable rate")
        rate = view.learning_rate
        self._in_force = self.moving(axes.axhline(rate, color=FAINT, linestyle=":", linewidth=1.5))
        self._its_name = self.moving(
            axes.text(
                0.99,
                rate,
                "in force",
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="bottom",
                fontsize=look.font,
                color=FAINT,
            )
        )

    def values(self, view: FlatnessView) -> tuple[np.ndarray, np.ndarray]:
        """Returns the moments, and the rates at them."""
        return view.moments, view.rates

    def limits(self, values: np.ndarray) -> tuple[float, float] | None:
        """Returns limits that also include the current learning rate."""
        in_force = [panel._in_force.get_ydata()[0] for panel in self.alike]
        return super().limits(np.concatenate([values, in_force]))

    def at_ends(self, view: FlatnessView) -> list[str]:
        """Returns the newest rates."""
        return [number(value) for value in view.rates[-1]]

    def show(self, view: FlatnessView, highlight: str) -> bool:
        """Updates the artists for a view, and returns whether to draw the background again."""
        self._in_force.set_ydata([view.learning_rate] * 2)
        self._its_name.set_y(view.learning_rate)
        return super().show(view, highlight)


class Change(_AtMoments):
    """How much each layer's gradient changes after a step along it."""

    def __init__(self, axes: Axes, view: FlatnessView, look: Look) -> None:
        super().__init__(axes, view, look)
        self.title("gradient change")

    def values(self, view: FlatnessView) -> tuple[np.ndarray, np.ndarray]:
        """Returns the moments, and the relative changes at them."""
        return view.moments, np.where(view.change > 0, view.change, np.nan)

    def at_ends(self, view: FlatnessView) -> list[str]:
        """Returns the newest changes."""
        return [number(value) for value in view.change[-1]]


FLATNESS_PANELS: dict[str, type[Panel]] = {
    "rate": Rates,
    "slice": Slices,
    "change": Change,
    "distance": Distance,
}


def flatness_outline(view: FlatnessView) -> tuple[Any, ...]:
    """Returns the properties of a view that determine the axes."""
    return view.layers, view.updates
