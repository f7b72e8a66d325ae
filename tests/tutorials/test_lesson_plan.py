"""The lesson plan: that its answers are right, and its address opens the lab it speaks of."""

from __future__ import annotations

import functools
import math
import re
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest

from keras_lcb import exercises
from keras_lcb.lab import DepthLab

FOLDER = Path(__file__).parents[2] / "tutorials"
PLAN = (FOLDER / "teacher.md").read_text()
ANSWERS = dict(re.findall(r"(?m)^\| (\d\d\.\d) \| (.*?) \|", PLAN))


def said_in(beginning: str) -> str:
    """Everything that a notebook, as it is stored, has printed."""
    (path,) = FOLDER.glob(f"{beginning}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return "".join(o.get("text", "") for cell in cells for o in cell.get("outputs", []))


def plain(number: str) -> int:
    return int(number.replace(",", ""))


def test_every_exercise_has_an_answer_and_every_notebook_a_row():
    assert sorted(ANSWERS) == exercises.names()
    assert all(ANSWERS.values())
    linked = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", PLAN)
    assert linked == sorted(path.name for path in FOLDER.glob("[0-9]*.ipynb"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("01.3", 1 / 120),
        ("02.5", 100 * math.log(2)),
        ("03.1", 1),
        ("03.2", 4),
        ("03.3", 1.5),
        ("04.1", 0.5),
        ("04.3", 0.01),
        ("05.2", 1),
        ("06.2", 1 / 8),
        ("06.3", 0),
    ],
)
def test_answers_that_are_numbers_are_right(name, value):
    written = ANSWERS[name].replace("½", "1/2").split("≈")[-1].strip()
    above, _, below = written.partition("/")
    assert float(above) / float(below or 1) == pytest.approx(value, rel=1e-3)
    assert exercises.check(name, value).right


def test_answers_that_are_functions_are_right():
    (code,) = re.findall(r"(?s)```python\n(.*?)```", PLAN)
    given = {"np": np}
    exec(code, given)
    for name, function in [
        ("02.1", "normalized_distance"),
        ("02.2", "convergence_rate"),
        ("04.2", "limit"),
    ]:
        assert ANSWERS[name] == "see below"
        assert exercises.check(name, given[function]).right


def test_answers_that_depend_on_a_run_are_those_of_the_stored_notebooks():
    times = [
        plain(time)
        for _, time in sorted(
            re.findall(r"(layer_\d) is half-way at update ([\d,]+)", said_in("01"))
        )
    ]
    first = re.search(r"The run shows: (\w+)", said_in("01"))[1]
    assert ANSWERS["01.1"] == f"`{first}`" == f"`layer_{np.argmin(times)}`"
    assert int(ANSWERS["01.2"]) == sum(
        shallow < deep for number, deep in enumerate(times) for shallow in times[:number]
    )
    begin, end, rates = re.findall(r"updates +([\d,]+) to +([\d,]+): ([ \d.-]+)", said_in("02"))[-1]
    assert ANSWERS["02.3"] == f"1/T = 1/{end}"
    assert ANSWERS["02.4"] == f"such as `({plain(begin)}, {plain(end)})`"
    slowest, *_, fastest = sorted(map(float, rates.split()))
    assert fastest > 2 * slowest > 0
    correlation = re.search(r"in this run: ([+-][\d.]+)", said_in("03"))[1]
    assert float(ANSWERS["03.5"].replace("−", "-")) == np.sign(float(correlation))
    order, carrier, _ = re.findall(r"The run shows: (.+)", said_in("05"))
    assert ANSWERS["05.1"] == f"`[{order}]`" and ANSWERS["05.3"] == f"`{carrier}`"
    counted = re.search(r"shallower faster: (.+)", said_in("06"))[1].split("; ")
    assert int(ANSWERS["06.1"]) == len(counted)


@pytest.fixture(scope="module")
def in_the_lab():
    """What the lab of notebook 01 shows with other settings."""

    def train(**changed):
        target = "sin(x) + sin(2*x)/2 + sin(4*x)/4"
        base = {"width": 64, "optimizer": "momentum", "target": target, "updates": 2000}
        lab = DepthLab(**base, **changed)
        lab.start()
        while lab.run is None and lab.state in ("training", "done"):
            time.sleep(0.1)
        lab.close()
        return lab.run

    return functools.cache(train)


@pytest.mark.parametrize("name", ["01.4", "03.6"])
def test_answers_from_the_lab_with_ten_layers_are_right(name, in_the_lab):
    deep = in_the_lab(depth=10, learning_rate=0.01)
    answer = re.findall(r"`(\w+)`", ANSWERS[name])
    verdict = exercises.check(name, answer, run=deep)
    assert verdict.right, verdict
    assert ANSWERS["06.4"] == "such as depth 10" and exercises.check("06.4", deep).right


def test_the_answer_from_the_lab_with_a_larger_rate_is_about_right(in_the_lab):
    fast = in_the_lab(depth=5, learning_rate=0.02)
    verdict = exercises.check("02.6", ANSWERS["02.6"].removeprefix("about "), run=fast)
    assert verdict.right, verdict


def test_the_address_opens_the_lab_of_the_first_notebook():
    (query,) = re.findall(r"(?m)^ *(&\S+)$", PLAN)
    lab = DepthLab.from_config(f"projector=true{query}")
    source = (FOLDER / "01_which_layer_learns_first.py").read_text()
    assert lab.settings.target == "sin(x) + sin(2*x)/2 + sin(4*x)/4".replace(" ", "")
    for name in ("width", "updates", "optimizer"):
        assert f"{name}={getattr(lab.settings, name)!r}".replace("'", '"') in source
    for name in ("depth", "learning_rate", "seed"):
        assert f"{name} = {getattr(lab.settings, name)}\n" in source
    assert "projector=true" in lab.config.lower() and "predict=layer" in lab.config
    lab.close()


def test_presets_and_speeds_that_it_names_are_there():
    from keras_lcb.lab import PRESETS
    from keras_lcb.lab.settings import SPEEDS

    titles = {preset.title for preset in PRESETS.values()}
    assert {"The bias is absent", "A learning rate too large"} <= titles
    assert 100 in SPEEDS
    for name in ("*The bias is\nabsent*", "*A learning rate too large*", "*100 updates a second*"):
        assert name in PLAN
