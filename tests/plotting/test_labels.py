import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from sklearn.isotonic import IsotonicRegression

from keras_lcb.plotting.labels import LineLabels, PointLabels, spread


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(0.1, 5))
def test_spread_is_isotonic_regression_within_bounds(wanted, gap):
    wanted = sorted(wanted)
    steps = gap * np.arange(len(wanted))
    oracle = IsotonicRegression(y_min=0, y_max=100 - steps[-1])
    expected = oracle.fit_transform(steps, np.asarray(wanted) - steps) + steps
    found = spread(wanted, gap, 0, 100)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (np.diff(found) >= gap - 1e-9).all()


def test_spread_leaves_alone_what_does_not_collide():
    np.testing.assert_allclose(spread([0, 10, 30], 5, 0, 40), [0, 10, 30])


def drawn(ax):
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    return [text for text in ax.texts if text.get_visible()], renderer


def boxes(texts, renderer):
    # Only the text: an annotation's own extent includes the line to what it names.
    return [Text.get_window_extent(text, renderer) for text in texts]


def collisions(texts, renderer):
    pairs = itertools.combinations(boxes(texts, renderer), 2)
    return [1 for one, other in pairs if one.shrunk(0.99, 0.9).overlaps(other)]


def test_labels_of_lines_that_end_together_do_not_collide(ax):
    steps = np.linspace(0, 1, 20)
    lines = [ax.plot(steps, (1 - steps) ** (k + 1), label=f"l{k}")[0] for k in range(8)]
    LineLabels(ax, lines)
    texts, renderer = drawn(ax)
    assert len(texts) == 8
    assert collisions(texts, renderer) == []
    downwards = sorted(texts, key=lambda text: -text.get_window_extent(renderer).y1)
    assert [text.get_text() for text in downwards] == [f"l{k}" for k in range(8)]
    assert min(box.x0 for box in boxes(texts, renderer)) > ax.bbox.x1


def test_labels_follow_lines_and_sizes(ax):
    lines = [ax.plot([0, 1], [0, end], label=f"l{end}")[0] for end in (1, 2, 3)]
    LineLabels(ax, lines)
    drawn(ax)
    lines[0].set_data([0, 1], [0, 2.9])
    ax.set_ylim(-5, 5)
    ax.figure.set_size_inches(4, 2)
    texts, renderer = drawn(ax)
    assert texts[0].xy == (1, 2.9)
    assert collisions(texts, renderer) == []
    heights = [box.y0 for box in boxes(texts, renderer)]
    assert heights[1] < heights[0] < heights[2]


def test_labels_without_room_are_thinned_evenly(ax):
    ax.figure.set_size_inches(3, 1.2)
    lines = [ax.plot([0, 1], [0, end], label=f"l{end}")[0] for end in range(12)]
    LineLabels(ax, lines)
    texts, renderer = drawn(ax)
    assert 2 <= len(texts) < 12
    assert {"l0", "l11"} <= {text.get_text() for text in texts}
    assert collisions(texts, renderer) == []


def test_names_are_no_mathematics(ax):
    LineLabels(ax, ax.plot([0, 1], [0, 1], label=r"a$\nonsense$b"))
    texts, _ = drawn(ax)
    assert texts[0].get_text() == r"a$\nonsense$b"


def test_point_labels_cover_neither_points_nor_each_other(ax):
    points = ax.scatter([0, 0.01, 0.02, 1, 0.5], [0, 0.01, 0, 1, 0.5], s=40)
    PointLabels(ax, points, [f"layer_{k}" for k in range(5)])
    texts, renderer = drawn(ax)
    assert len(texts) >= 4
    assert collisions(texts, renderer) == []
    for centre in ax.transData.transform(points.get_offsets()):
        assert not any(box.contains(*centre) for box in boxes(texts, renderer))
    for box in boxes(texts, renderer):
        assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1


def test_points_that_are_nowhere_have_no_label(ax):
    points = ax.scatter([0, np.nan, 1], [0, 1, 1], plotnonfinite=True)
    PointLabels(ax, points, ["first", "lost", "last"])
    texts, _ = drawn(ax)
    assert [text.get_text() for text in texts] == ["first", "last"]
