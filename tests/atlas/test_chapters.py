import math

import pytest

from keras_lcb.atlas.chapters import chapters


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.name)
def test_dials_name_each_value_and_start_below_the_top(chapter):
    for dial in chapter.dials:
        assert len(dial.texts) == len(dial.values) > 1
        assert len(set(dial.texts)) == len(dial.texts)
        assert 0 <= dial.start < len(dial.values) - 1


def test_there_are_more_than_500_trainings_and_a_part_of_them_is_the_small_atlas():
    assert sum(positions(chapter) for chapter in chapters()) >= 500
    for chapter in chapters():
        small = chapter.small()
        assert (small.engine, small.base) == (chapter.engine, chapter.base)
        assert positions(small) < positions(chapter)
        for few, dial in zip(small.dials, chapter.dials, strict=True):
            assert few.name == dial.name and set(few.values) <= set(dial.values)


def positions(chapter):
    """How many positions the dials of a chapter have together, each a training."""
    return math.prod(len(dial.values) for dial in chapter.dials)


def test_names_of_settings_are_no_names_of_the_address():
    taken = {"in", "a", "seen", "large", "update", "layer", "quantity"}
    assert not taken & {dial.name for each in chapters() for dial in each.dials}
