"""The atlas that is in the repository, for whoever has no Python."""

from pathlib import Path

import pytest

from keras_lcb.atlas.chapters import chapters
from keras_lcb.viewer.bundle import path
from tests.atlas.test_building import forms
from tests.atlas.test_chapters import positions

FOLDER = Path(__file__).parents[2] / "docs" / "atlas"


@pytest.mark.parametrize("name", ["atlas.js", "atlas.css", "viewer.css"])
def test_its_viewer_is_the_newest(name):
    """Where it is not: `keras-lcb atlas --small --out docs/atlas`, or copy the file."""
    assert (FOLDER / name).read_bytes() == path(name).read_bytes()


def test_it_is_small():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_000_000


@pytest.mark.parametrize("chapter", [each.small() for each in chapters()], ids=lambda c: c.name)
def test_each_position_of_its_dials_has_a_run(chapter):
    found, _ = forms(FOLDER / "index.html", chapter.name)
    assert len(found) == positions(chapter)
