import base64
import gzip
import json
import re

import pytest

from keras_lcb.atlas import building
from keras_lcb.atlas.chapters import chapters
from keras_lcb.atlas.packing import packed


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    page = building.build(folder / "page", folder / "runs", quick=True, jobs=1)
    return page, folder / "runs"


def forms(page, chapter):
    """The runs of a chapter, with their numbers taken out of the packed text."""
    text = (page.parent / f"{chapter}.js").read_text(encoding="utf-8")
    content = gzip.decompress(base64.b64decode(re.search(r', "(.*)"\);', text)[1]))
    length = int.from_bytes(content[:4], "little")
    return json.loads(content[4 : 4 + length]), content[4 + length :]


def test_each_position_of_the_dials_has_a_run(atlas):
    page, _ = atlas
    told = json.loads(re.search(r'json" id="lcb-chapters">(.*)</script>', page.read_text())[1])
    assert [each["name"] for each in told] == ["functions", "digits"]
    for chapter in told:
        found, _ = forms(page, chapter["name"])
        assert sorted(found) == ["0.0.0.0.0.0", "0.1.0.0.0.0", "1.0.0.0.0.0", "1.1.0.0.0.0"]
        assert all(form["outcome"]["text"] for form in found.values())


def test_numbers_are_where_the_form_says(atlas):
    page, _ = atlas
    found, numbers = forms(page, "functions")
    places = [
        tuple(described["data"])
        for form in found.values()
        for described in form["variables"].values()
    ]
    ends = sorted((start, start + count) for start, count in places)
    assert ends[0][0] == 0 and ends[-1][1] == len(numbers)
    assert all(one[1] == other[0] for one, other in zip(ends, ends[1:], strict=False))


def test_functions_are_kept_and_missing_runs_are_made_once(atlas):
    page, runs = atlas
    found, _ = forms(page, "functions")
    assert "prediction" in found["0.0.0.0.0.0"]["variables"]
    assert "contribution" in found["0.1.0.0.0.0"]["variables"]
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*.nc")}
    building.build(page.parent, runs, quick=True, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*.nc")} == before


def test_the_same_runs_give_the_same_files(atlas, tmp_path):
    page, runs = atlas
    building.write_page([chapter.quick() for chapter in chapters()], runs, tmp_path)
    for file in page.parent.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_nothing_is_asked_of_anywhere(atlas):
    page, _ = atlas
    for file in page.parent.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text


def test_what_failed_is_said(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no memory")

    monkeypatch.setattr("keras_lcb.atlas.functions.run", fail)
    with pytest.raises(ValueError, match="4 trainings of 'functions' failed.*no memory"):
        building.build(tmp_path / "page", tmp_path / "runs", quick=True, jobs=1)


def test_packing_leaves_everything_but_numbers_as_it_is():
    form = {"list": [1, "data", {"data": base64.b64encode(b"\x01\x02").decode()}], "text": "<"}
    content = gzip.decompress(base64.b64decode(packed({"a": form})))
    length = int.from_bytes(content[:4], "little")
    assert json.loads(content[4 : 4 + length]) == {
        "a": {"list": [1, "data", {"data": [0, 2]}], "text": "<"}
    }
    assert content[4 + length :] == b"\x01\x02"
