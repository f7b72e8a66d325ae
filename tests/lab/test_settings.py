import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_lcb.lab.settings import (
    ACTIVATIONS,
    LIMITS,
    OPTIMIZERS,
    SPEEDS,
    TARGETS,
    Settings,
    from_query,
)
from keras_lcb.lab.settings.images import ImageSettings
from keras_lcb.synthetic import Expression


def whole(name: str) -> st.SearchStrategy[int]:
    low, high = LIMITS[name]
    return st.integers(int(low), int(high))


FORMULAS = ("sin(x) + 0.3*sin(3*x)", "x^2", "abs(x)*cos(2*x) - 1e-3", "max(x, 0) / pi")
anything = st.builds(
    Settings,
    depth=whole("depth"),
    width=whole("width"),
    residual=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    optimizer=st.sampled_from(OPTIMIZERS),
    learning_rate=st.floats(*LIMITS["learning_rate"]),
    target=st.sampled_from([*TARGETS, *FORMULAS]),
    updates=whole("updates"),
    seed=whole("seed"),
    seeds=whole("seeds"),
    speed=st.sampled_from(SPEEDS),
)


@given(anything)
def test_settings_come_back_from_their_line(settings):
    line = settings.to_text()
    assert Settings.from_text(line) == settings
    assert Settings.from_text(f"?{line}\n") == settings
    assert line.isascii() and not set(line) & set(" \n\"'<>#")


@given(anything)
def test_an_experiment_takes_at_least_the_updates_asked_for_in_few_records(settings):
    config = settings.config()
    assert settings.updates <= config.updates < settings.updates + config.record_every
    assert config.updates // config.record_every <= 100
    assert settings.config(seed=7).seed == 7


@given(anything, anything, st.integers(12, 200))
def test_what_differs_is_told_as_far_as_there_is_room(one, other, letters):
    mine, theirs = one.apart(other, letters)
    assert max(len(mine), len(theirs)) <= letters or letters < len("the same settings")
    whole = one.apart(other, 10_000)
    assert whole == (one.in_words(other), other.in_words(one))
    if max(map(len, whole)) <= letters:
        assert (mine, theirs) == whole


def test_both_sides_name_the_same_differences_and_count_the_others():
    one, other = Settings(seeds=1, updates=5000), Settings(depth=12, width=128, seeds=3)
    mine, theirs = one.apart(other, 32)
    assert (mine, theirs) == ("depth 5, width 64, and 2 more", "depth 12, width 128, and 2 more")
    assert one.apart(other, 12) == ("4 settings", "4 settings")
    assert one.apart(one, 30) == ("the same settings", "the same settings")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Settings(seeds=3), ("seeds: 1", "3 seeds")),
        (Settings(changes="100:0.02"), ("changes: none", "rate 0.02 from 100")),
        (Settings(speed=40), ("the same settings", "the same settings")),
    ],
    ids=["seeds", "changes", "speed"],
)
def test_a_difference_is_told_on_both_sides(other, told):
    assert Settings().apart(other, 42) == told
    assert (Settings().in_words(other), other.in_words(Settings())) == told
    one = ImageSettings().in_words(ImageSettings(normalization=True))
    assert one == "normalization: no"


def test_a_formula_is_what_is_learned():
    assert Settings(target=" x^2 ").config().target == Expression("x^2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 0}, "`depth` must be from 1 to 12; received 0"),
        ({"depth": 2.5}, "`depth` must be a whole number"),
        ({"depth": True}, "`depth` must be a number"),
        ({"learning_rate": "fast"}, "`learning_rate` must be a number; received 'fast'"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a number"),
        ({"optimizer": "lbfgs"}, "`optimizer` must be one of sgd, momentum, adam"),
        ({"speed": 7}, "`speed` must be one of 0, 400"),
        ({"residual": "perhaps"}, "`residual` must be true or false"),
        ({"target": 3}, "`target` must be a text"),
        ({"target": "__import__('os')"}, "means nothing here|There is no"),
    ],
)
def test_settings_out_of_range_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Settings(**changes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dept=3", "received 'dept'"),
        ("depth=3&depth=4", "'depth' occurs twice"),
        ("depth", "a line such as"),
        ("depth=deep", "`depth` must be a number"),
    ],
)
def test_lines_that_are_no_settings_are_refused(line, said):
    with pytest.raises(ValueError, match=said):
        Settings.from_text(line)


def test_what_a_line_leaves_out_has_its_default():
    assert Settings.from_text("depth=3") == dataclasses.replace(Settings(), depth=3)
    assert from_query("") == {}
