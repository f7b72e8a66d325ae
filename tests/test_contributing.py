"""What CONTRIBUTING.md shows works as it is written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from keras_lcb.experiments import answering, sections

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The folder of sections with the one that is shown."""
    (name,) = re.findall(r"`keras_lcb/experiments/sections/(\w+)\.py`", TEXT)
    (code,) = re.findall(r'```python\n("""Section .*?)```', TEXT, flags=re.DOTALL)
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    yield name
    sys.modules.pop(f"{sections.__name__}.{name}", None)


def test_a_section_that_is_added_is_run_and_told(example, tmp_path):
    page = answering.results(
        tmp_path / "out",
        tmp_path / "runs",
        claims=["training-helps"],
        quick=True,
        jobs=1,
        progress=False,
    )
    text = page.read_text()
    assert "**Holds**" in text and "Training lowers the loss. (Everyone.) Lower in 2" in text
    assert "keras-lcb results --claims training-helps --first-seed 100 --set" in text
    assert (tmp_path / "out" / "results" / "training-helps.png").exists()
