import base64
import gzip
import json
import re
from dataclasses import replace

import pytest

from keras_lcb.atlas import building
from keras_lcb.atlas.chapters import chapters
from keras_lcb.atlas.packing import packed


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


def test_trainings_are_made_once_and_their_functions_are_kept(tmp_path, monkeypatch):
    """With real trainings, one for each chapter."""

    def last(dial):  # of connections, residual ones, which alone have contributions
        return replace(dial, values=dial.values[-1:], words=dial.words[-1:], start=0)

    def short():
        quick = [chapter.quick() for chapter in chapters()]
        return [replace(each, dials=tuple(map(last, each.dials))) for each in quick]

    monkeypatch.setattr(building, "chapters", short)
    page = building.build(tmp_path / "page", tmp_path / "runs", jobs=1)
    found, _ = forms(page, "functions")
    variables = found["0.0.0.0.0.0"]["variables"]
    assert variables["prediction"]["dims"] == ["x"]
    assert variables["contribution"]["dims"] == ["layer", "x"]
    assert "gradient_norm" in forms(page, "digits")[0]["0.0.0.0.0.0"]["variables"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.nc")}
    building.build(page.parent, tmp_path / "runs", jobs=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.nc")} == before


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
