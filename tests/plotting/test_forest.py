"""Forest plots, on axes of any range."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from keras_lcb.plotting.forest import ForestRow, plot_forest


def drawn(rows, **options):
    figure = Figure(figsize=(8, 3), layout="constrained")
    ax = plot_forest(rows, figure.subplots(), logarithmic=True, none=1.0, **options)
    figure.draw_without_rendering()
    return ax


@pytest.mark.parametrize("low", [0.9, 0.5, 0.1, 0.01, 1e-4, 1e-8])
def test_labels_of_the_axis_do_not_overlap(low):
    ax = drawn([ForestRow("a", 1.0, low, 1 / low), ForestRow("b", low, low, low)])
    left, right = ax.get_xlim()
    texts = [
        t for t in ax.get_xticklabels() if left <= t.get_position()[0] <= right and t.get_text()
    ]
    boxes = sorted(text.get_window_extent().extents.tolist() for text in texts)
    assert len(boxes) >= 2
    assert all(one[2] < other[0] for one, other in zip(boxes, boxes[1:], strict=False))


def test_a_long_interval_does_not_hide_the_others():
    rows = [ForestRow("many", 0.5, 0.4, 0.6, -1), ForestRow("two", 0.7, 1e-4, 5e3)]
    assert drawn(rows).get_xlim() == pytest.approx((0.5 / 3, 2.1))
    nothing = ForestRow("none", math.nan, math.nan, math.nan)
    assert all(map(math.isfinite, drawn([nothing]).get_xlim()))


def test_a_contested_verdict_is_hollow():
    ax = drawn([ForestRow("a", 2.0, 1.5, 3.0, 1), ForestRow("b", 2.0, 1.5, 3.0, 1, contested=True)])
    marks = [line for line in ax.lines if line.get_marker() == ">"]
    assert [mark.get_markerfacecolor() for mark in marks] == ["#0072B2", "white"]


@pytest.mark.parametrize(
    ("low", "high"), [(0.93, 1.04), (0.9, 1.2), (1.02, 1.3), (0.2, 0.9), (12, 20), (1e-7, 1e7)]
)
def test_no_effect_has_a_tick(low, high):
    middle = math.sqrt(low * high)
    ax = drawn([ForestRow("a", middle, low, high), ForestRow("b", middle, middle, middle)])
    left, right = ax.get_xlim()
    assert left < 1 < right
    assert "1" in [text.get_text() for text in ax.get_xticklabels()]
    correlations = [ForestRow("a", 0.8, low, 0.9)]
    ax = plot_forest(correlations, Figure().subplots(), none=0.0)
    assert 0 in ax.get_xticks() and ax.get_xlim()[0] < 0


def test_an_interval_that_is_cut_has_an_arrowhead():
    rows = [
        ForestRow("whole", 0.5, 0.4, 0.6, -1),
        ForestRow("cut", 0.7, 1e-4, 5e3),
        ForestRow("without end", 0.7, 0.5, math.inf),
        ForestRow("none", math.nan, math.nan, math.nan),
    ]
    ax = drawn(rows)
    left, right = ax.get_xlim()
    heads = [text.xy for text in ax.texts if isinstance(text, Annotation)]
    assert heads == [(left, 1), (right, 1), (right, 2)]
