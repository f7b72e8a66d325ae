import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from keras_lcb.lab.pictures.canvas import DESK, PROJECTOR, Canvas
from keras_lcb.lab.pictures.depth_panels import DEPTH_PANELS, depth_outline
from keras_lcb.lab.pictures.layer_lines import number
from tests.lab.views import view


def canvas(look=DESK) -> Canvas:
    return Canvas(DEPTH_PANELS, look, depth_outline)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def earlier(shown, records: int):
    """The same training, some records before its end."""
    along = ("steps", "distance_steps", "distance", "gradient", "loss", "error")
    cut = {name: getattr(shown, name)[:records] for name in along}
    return dataclasses.replace(shown, provisional=True, prediction=0 * shown.x, **cut)


@pytest.mark.parametrize("residual", [True, False])
def test_drawing_over_what_stood_there_gives_the_same_picture(residual):
    end = view(residual=residual)
    live, fresh = canvas(), canvas()
    for records in (3, 5, 8):
        live.draw([earlier(end, records)], "layer_1", live=True)
    assert np.array_equal(pixels(live.draw([end])), pixels(fresh.draw([end])))


@pytest.mark.parametrize("look", [DESK, PROJECTOR])
def test_the_picture_has_the_size_that_was_asked_for(look):
    height, width, _ = pixels(canvas(look).draw([view()])).shape
    assert (width, height) == look.size


def test_a_highlighted_layer_stands_out_in_every_picture():
    drawn = canvas()
    plain, marked = pixels(drawn.draw([view()])), pixels(drawn.draw([view()], "layer_1"))
    differs = (plain != marked).any(axis=-1)
    height, width = differs.shape
    for rows in (slice(0, height // 2), slice(height // 2, None)):
        for columns in (slice(0, width // 2), slice(width // 2, None)):
            assert differs[rows, columns].any()


def test_costly_pictures_wait_only_while_there_will_be_another():
    drawn = canvas()
    first, second = view(), view(carried=np.full((4, 2), 0.9))
    before = pixels(drawn.draw([first], live=True))
    quick = pixels(drawn.draw([second], live=True))
    after = pixels(drawn.draw([dataclasses.replace(second)]))
    quarter = np.s_[before.shape[0] // 2 :, before.shape[1] // 2 :]
    assert np.array_equal(before[quarter], quick[quarter])
    assert not np.array_equal(quick[quarter], after[quarter])


def test_two_views_stand_side_by_side():
    together = canvas()
    one, other = view(), view(half_way=(300, 200, 100))
    both = pixels(together.draw([one, other], titles=["A", "B"]))
    swapped = pixels(together.draw([other, one], titles=["A", "B"]))
    middle = both.shape[1] // 2
    top = 60  # below the titles
    # A last bit of a position may round otherwise at another place.
    apart = both[top:, :middle].astype(int) - swapped[top:, middle:]
    assert abs(apart).max() <= 2


@pytest.mark.parametrize("first", [0, 1])
def test_two_views_have_one_vertical_scale(first):
    plain = view()
    low = dataclasses.replace(plain, provisional=True)
    high = view(
        distance=3 * plain.distance,
        gradient=1000 * plain.gradient,
        target=4 * plain.target,
        prediction=6 * plain.target,
    )
    kinds = {name: DEPTH_PANELS[name] for name in ("distance", "function", "gradient")}
    for names in (("distance", "function"), ("gradient", "distance")):
        drawn = Canvas({name: kinds[name] for name in names}, DESK, depth_outline)
        pair = [low, high][:: 1 - 2 * first]
        drawn.draw([earlier(shown, 3) for shown in pair], titles=["A", "B"], live=True)
        drawn.draw(pair, titles=["A", "B"])
        panels = [panel for panel, _ in drawn._panels]
        for one, other in zip(panels[:2], panels[2:], strict=True):
            assert type(one) is type(other)
            assert one.axes.get_ylim() == other.axes.get_ylim()
            bottom, top = one.axes.get_ylim()
            for line in (line for panel in (one, other) for line in panel.axes.lines):
                heights = np.asarray(line.get_ydata(), dtype=float)
                heights = heights[np.isfinite(heights)]
                assert (heights >= bottom).all() and (heights <= top).all()
        fresh = Canvas({name: kinds[name] for name in names}, DESK, depth_outline)
        again = fresh.draw([dataclasses.replace(shown) for shown in pair], titles=["A", "B"])
        assert np.array_equal(pixels(drawn.draw(pair, titles=["A", "B"])), pixels(again))


def test_bands_are_drawn_for_several_seeds():
    lone = view()
    spread = (0.7 * lone.distance, 1.2 * lone.distance)
    drawn = canvas()
    before = pixels(drawn.draw([lone]))
    banded = dataclasses.replace(lone, spread=spread, seeds=3)
    assert (pixels(drawn.draw([banded])) != before).any()


def test_exports_hold_what_was_drawn_and_leave_it_as_it_was():
    drawn = canvas()
    before = drawn.draw([view()])
    svg = drawn.export("svg").decode()
    assert "distance to the end" in svg and "layer_2" in svg and "0: 100" in svg
    height, width, _ = pixels(drawn.export("png")).shape
    assert (width, height) == (2 * DESK.size[0], 2 * DESK.size[1])
    assert np.array_equal(pixels(drawn.draw([view()])), pixels(before))


def test_what_is_not_finite_is_drawn_as_nothing():
    nothing = np.full((9, 4), np.nan)
    broken = view(
        distance=nothing,
        gradient=nothing,
        prediction=np.full(32, np.nan),
        contribution=np.full((4, 32), np.inf),
        carried=np.full((4, 2), np.nan),
    )
    drawn = pixels(canvas().draw([broken]))
    assert (drawn != 255).any()


def test_where_there_is_nothing_yet_the_picture_says_so():
    blank = pixels(canvas().blank())
    assert (blank[:60, :200] != 255).any() and (blank[60:] == 255).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (0.123, "0.12"), (12.345, "12.35"), (0.0042, "0.004"), (4.2e-7, "4e-7"),
     (12345.0, "1e4"), (np.nan, "–"), (-0.5, "-0.50")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text
