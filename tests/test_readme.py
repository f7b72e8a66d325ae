import pathlib
import re

import keras
import pytest

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.fixture
def examples():
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_examples_run(examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for example in examples:
        shorter = example.replace("epochs=30", "epochs=2, verbose=0")
        study = "seeds=range(2), epochs=1, jobs=1, progress=False"
        exec(shorter.replace("seeds=range(5), epochs=8", study), names)
    printed = capsys.readouterr().out
    assert "conv_5" in printed and "One run proves little" in printed
    assert "width 16: " in printed and "width 64: " in printed
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert isinstance(names["layerwise"], keras.Model)


def test_its_links_and_pictures_are_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text())
    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_the_moving_picture_is_on_its_first_screen_and_small():
    (picture,) = re.findall(r"\]\((docs/images/[^)]+\.gif)\)", README.read_text()[:800])
    assert (README.parent / picture).stat().st_size < 1_000_000
