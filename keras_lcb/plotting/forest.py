"""Effects with their intervals, one line a setting: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_lcb.plotting.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours of Okabe and Ito, which colour-blind people tell apart; shapes say the same.
STYLES = {1: ("#0072B2", ">"), -1: ("#D55E00", "<"), 0: ("0.45", "o")}

REACH = 3.0


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot.

    Attributes:
        name: Of the setting.
        value: The effect.
        low: Lower end of its interval.
        high: Upper end.
        sign: Of the effect by its verdict: +1, −1, or 0 for none.
        contested: Whether other measures contradict the verdict: its mark is hollow.
    """

    name: str
    value: float
    low: float
    high: float
    sign: int = 0
    contested: bool = False


def plot_forest(
    rows: Sequence[ForestRow],
    ax: Axes | None = None,
    *,
    effect: str = "effect",
    none: float = 0.0,
    bounds: tuple[float, float] | None = None,
    logarithmic: bool = False,
    pooled: ForestRow | None = None,
) -> Axes:
    """Plots effects and intervals, a line a setting, and the mean over settings as a diamond.

    On a logarithmic axis, very long intervals run out of the figure, so that others can be read;
    they end in an arrowhead there.

    Args:
        rows: The settings, the first on top.
        ax: Where to draw; a new pyplot figure by default.
        effect: What the effect is, for the axis.
        none: The value that is no effect.
        bounds: Between which an effect counts as none: a grey band.
        logarithmic: Whether the axis is.
        pooled: The mean over settings.

    Returns:
        The axes.

    Example:
        >>> from keras_lcb.plotting.forest import ForestRow
        >>> rows = [ForestRow("sgd", 1.3, 1.1, 1.5, 1), ForestRow("adam", 0.9, 0.7, 1.2)]
        >>> ax = plot_forest(rows, effect="ratio", none=1.0, logarithmic=True)
    """
    ax = new_axes(ax)
    if bounds is not None:
        ax.axvspan(*bounds, color="0.5", alpha=0.15, linewidth=0)
    ax.axvline(none, color="0.4", linewidth=1)
    if logarithmic:
        ax.set_xscale("log")
    for place, row in enumerate(rows):
        color, marker = STYLES[row.sign]
        ax.plot([row.low, row.high], [place, place], color=color, linewidth=1.8)
        face = "white" if row.contested else color
        ax.plot(row.value, place, marker, color=color, markerfacecolor=face, markersize=7)
    names = [row.name for row in rows]
    if pooled is not None:
        _diamond(pooled, len(rows), ax)
        names.append(pooled.name)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlabel(effect)
    drawn = [*rows, *([] if pooled is None else [pooled])]
    if logarithmic:
        _limit(drawn, none, ax)
        _plain_ticks(ax)
    _tick_at(none, ax)
    for place, row in enumerate(drawn):
        _arrowheads(row, place, ax)
    return ax


def _limit(rows: Sequence[ForestRow], none: float, ax: Axes) -> None:
    """Keeps the axis within `REACH` times the largest effect, and the smallest divided by it.

    The line of no effect stays within.
    """
    values = np.array([row.value for row in rows if np.isfinite(row.value)])
    if values.size:
        low, high = ax.get_xlim()
        lowest, highest = (
            min(values.min() / REACH, none / 1.1),
            max(values.max() * REACH, none * 1.1),
        )
        ax.set_xlim(max(low, lowest), min(high, highest))


def _arrowheads(row: ForestRow, place: int, ax: Axes) -> None:
    """Draws where an interval goes on beyond the frame."""
    color, _ = STYLES[row.sign]
    low, high = ax.get_xlim()
    for edge, beyond in ((low, row.low < low), (high, row.high > high)):
        if beyond and np.isfinite(row.value):
            arrow = {"arrowstyle": "->", "color": color, "linewidth": 1.8, "mutation_scale": 14}
            ends = {"shrinkA": 0, "shrinkB": 0}
            ax.annotate("", (edge, place), (row.value, place), arrowprops=arrow | ends)


def _tick_at(value: float, ax: Axes) -> None:
    """Makes sure that a value has a tick. If it has none, it takes the place of the nearest one."""
    low, high = sorted(ax.get_xlim())
    ticks = ax.get_xticks()
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    if not ticks.size or np.isclose(ticks, value, rtol=1e-9, atol=1e-12 * (high - low)).any():
        return
    away = np.abs(np.log(ticks / value) if ax.get_xscale() == "log" else ticks - value)
    ax.set_xticks(np.sort(np.append(np.delete(ticks, away.argmin()), value)))


def _diamond(row: ForestRow, place: int, ax: Axes) -> None:
    color, _ = STYLES[row.sign]
    ends = [row.low, row.value, row.high, row.value]
    if np.isfinite(ends).all():
        ax.fill(ends, [place, place - 0.25, place, place + 0.25], color=color)
    else:
        ax.plot(row.value, place, "D", color=color)
    ax.axhline(place - 0.5, color="0.7", linewidth=0.8)


def _plain_ticks(ax: Axes) -> None:
    """Labels some six round numbers, whatever the range."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs = (1, 1.5, 2, 3, 5, 7) if decades < 1.3 else (1, 3) if decades < 3 else (1,)
    many = LogLocator(subs=subs, numticks=8)
    ax.xaxis.set_major_locator(MaxNLocator(6) if decades < 0.5 else many)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
