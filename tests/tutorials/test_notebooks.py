"""The tutorials: what they hold, and that they run, also at the ends of their sliders."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

from keras_lcb import exercises
from keras_lcb.lab import DepthLab, FlatnessLab
from keras_lcb.lab.settings import LIMITS

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("build", ROOT / "tutorials" / "build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)

TEXTS = build.texts()
each_text = pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.stem)


def published(text: Path) -> nbformat.NotebookNode:
    return nbformat.read(text.with_suffix(".ipynb"), as_version=4)


ADDRESS = "https://github.com/someone/something"


def test_there_are_six_and_a_lesson_plan():
    assert [text.name[:2] for text in TEXTS] == ["01", "02", "03", "04", "05", "06"]
    assert (ROOT / "tutorials" / "teacher.md").exists()


@each_text
def test_text_and_notebook_agree(text):
    assert build.alike(text)


@each_text
def test_the_notebook_can_be_published(text):
    notebook = published(text)
    nbformat.validate(notebook)
    assert build.faults(notebook) == []
    assert text.with_suffix(".ipynb").stat().st_size < build.LARGEST


@each_text
def test_it_shows_its_figures_without_a_kernel(text):
    kinds = shown(published(text))
    assert kinds.count("image/png") >= 3
    assert not [kind for kind in kinds if "widget" in kind]


@each_text
def test_it_ran_from_top_to_bottom(text):
    code = [cell for cell in published(text).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@each_text
def test_without_an_address_there_is_no_badge_and_the_checkout_is_installed(text, monkeypatch):
    monkeypatch.setattr(build, "repository", lambda: "")
    notebook = build.notebook_of(text)
    assert not re.search("colab|github.com", nbformat.writes(notebook))
    assert notebook.cells[1] == {**build.install_cell(""), "id": "cell-01"}
    assert "from the folder above this notebook" in notebook.cells[1].source


@each_text
def test_the_badge_opens_the_notebook_itself(text, monkeypatch):
    monkeypatch.setattr(build, "repository", lambda: ADDRESS)
    notebook = build.notebook_of(text)
    (opened,) = re.findall(r"\]\((https://colab[^)]+ipynb)\)", notebook.cells[0].source)
    place = f"someone/something/blob/main/tutorials/{text.stem}.ipynb"
    assert opened == f"https://colab.research.google.com/github/{place}"
    assert notebook.cells[1].source == build.install_cell(ADDRESS).source


def test_the_address_is_that_of_pyproject(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "FOLDER", tmp_path / "tutorials")
    project = tmp_path / "pyproject.toml"
    for text, address in [
        ("[project]", ""),
        ("[project.urls]", ""),
        ('[project.urls]\nRepository = ""', ""),
        (f'[project.urls]\nRepository = "{ADDRESS}/"', ADDRESS),
    ]:
        project.write_text(text)
        assert build.repository() == address


def test_a_repository_that_is_not_on_github_gets_no_badge():
    elsewhere = "https://codeberg.org/someone/something"
    assert build.badge(elsewhere, "01") == "" and build.badge("", "01") == ""
    assert f"git+{elsewhere}" in build.install_cell(elsewhere).source


def test_no_page_names_an_address_of_the_package_itself():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tutorials/*.*")]
    for page in pages:
        assert "github.com/keras-lcb" not in page.read_text(), page


@pytest.mark.parametrize("address", ["", ADDRESS])
@pytest.mark.parametrize("there", [True, False])
def test_the_package_is_installed_only_where_it_is_missing(
    address, there, monkeypatch, tmp_path, capsys
):
    commands = []
    monkeypatch.setattr(subprocess, "check_call", commands.append)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)
    monkeypatch.chdir(ROOT / "tutorials")
    source = build.install_cell(address).source
    exec(source, {})
    if there:
        assert commands == []
        return
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == (f"git+{ADDRESS}" if address else "..")
    assert not re.search("[<=]", " ".join(command)), "no upper pins"
    if not address:
        assert "installing it from the folder above" in capsys.readouterr().out
        monkeypatch.chdir(tmp_path)  # a folder that does not lie in the package
        with pytest.raises(FileNotFoundError, match="folder `tutorials` of the package"):
            exec(source, {})


def test_every_exercise_is_asked_in_its_notebook():
    asked = {
        number: text.name[:2]
        for text in TEXTS
        for number in re.findall(r'exercises\.check\(\s*"(\d\d\.\d)"', text.read_text())
    }
    assert sorted(asked) == exercises.names()
    assert all(number.startswith(notebook) for number, notebook in asked.items())


def test_every_question_in_words_is_asked_in_its_notebook():
    asked = [
        (name, text.name[:2])
        for text in TEXTS
        for name in re.findall(
            r'exercises\.explain\("(\d\d\.\w)", my_explanation\)', text.read_text()
        )
    ]
    assert [name for name, _ in asked] == exercises.questions()
    assert all(name.startswith(notebook) for name, notebook in asked)


@each_text
def test_it_has_a_lab_a_prediction_exercises_and_reading(text):
    source = text.read_text()
    assert "Lab(" in source and re.search('predict=(True|"frequency")', source)
    assert re.search(r"(?m)^my_\w+ = (\.\.\.|{$)", source), "a prediction to be written down"
    assert source.count("exercises.check(") >= 3
    assert source.count("exercises.explain(") >= 2
    assert "## Further reading" in source and "ICLR 2023" in source


LEVELS = {"★ read it off", "★★ work it out", "★★★ find out"}


@each_text
def test_each_exercise_says_how_difficult_it_is(text):
    titles = re.findall(r"(?m)^# ### Exercise (\d\d\.\d) · (.+)$", text.read_text())
    checked = re.findall(r'exercises\.check\(\s*"(\d\d\.\d)"', text.read_text())
    assert [name for name, _ in titles] == checked == sorted(checked)
    assert {level for _, level in titles} <= LEVELS
    (explained,) = re.findall(r"levels: ★ .*?★★ .*?★★★ [^.]+\.", text.read_text(), re.DOTALL)
    assert all(level.split()[1] in explained for level in LEVELS)


@each_text
def test_an_exercise_can_only_be_answered_with_other_settings_of_the_lab(text):
    found = re.findall(r"(?s)· ★★★ find out\n(.*?)\n# %%\n(.*?)\n\n", text.read_text())
    in_lab = [asked for asked, cell in found if "lab.run" in cell or "lab.run" in asked]
    assert in_lab and all(re.search(r"\*\*(Depth|Learning rate)\*\*", asked) for asked in in_lab)


@each_text
def test_the_picture_of_the_lab_is_of_another_run(text):
    (cell,) = [c for c in published(text).cells if c.cell_type == "code" and "Lab(" in c.source]
    said = "".join(output.get("text", "") for output in cell.outputs)
    assert said == build.EXAMPLE + "\n"
    assert ["image/png" in output.get("data", {}) for output in cell.outputs].count(True) == 1


@each_text
@pytest.mark.timeout(900)
def test_it_runs_also_with_its_sliders_at_their_ends(text, monkeypatch, capsys):
    """In this process, since a kernel for each notebook would spend most of the time on imports."""
    monkeypatch.setenv("KERAS_LCB_QUICK", "1")
    monkeypatch.chdir(text.parent)
    cells = [cell for cell in build.notebook_of(text).cells if cell.cell_type == "code"]
    for end in (None, 0, 1):
        names, values, figures = {}, [], 0
        for cell in cells:
            at_end = end is not None and "parameters" in cell.metadata.get("tags", [])
            values.append(run_cell(at_the_end(cell.source, end) if at_end else cell.source, names))
            figures += len(plt.get_fignums())
            plt.close("all")
        labs = [value for value in values if isinstance(value, DepthLab | FlatnessLab)]
        assert len(labs) == 1 and figures >= 1
        labs[0].close()
        said = capsys.readouterr()
        assert not build._ABSOLUTE.search(f"{said.out}{values}")
        assert not said.err
        assert not [
            value for value in values if isinstance(value, exercises.Verdict) and value.right
        ]


def run_cell(source: str, names: dict) -> object:
    """Runs a cell as IPython does, and returns the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    repr(value)  # a notebook would show it
    return value


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    ]


def at_the_end(source: str, end: int) -> str:
    """Sets each parameter to the lowest or the highest value of its slider in the lab."""
    for name in ("depth", "learning_rate", "seed"):
        source, found = re.subn(rf"(?m)^{name} = [\d.]+", f"{name} = {LIMITS[name][end]}", source)
        assert found == 1, name
    return source
