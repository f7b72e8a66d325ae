"""The code of the quick start and the recipes runs, top to bottom, each recipe on its backend."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parents[2] / "docs"
HOME = "tensorflow"


def code_of(recipe):
    return re.findall(r"```python\n(.*?)```", recipe.read_text(), flags=re.DOTALL)


def backend_of(recipe):
    named = re.match(r"---\nbackend: (\w+)\n---", recipe.read_text())
    return named[1] if named else HOME


def lacking(code):
    """Returns the libraries that code imports and that are not installed."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in names}
    return {name for name in roots if importlib.util.find_spec(name) is None}


WITH_CODE = [
    recipe
    for recipe in [DOCS / "quickstart.md", *sorted((DOCS / "recipes").glob("*.md"))]
    if code_of(recipe)
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    yield
    plt.close("all")


@pytest.mark.parametrize("recipe", WITH_CODE, ids=lambda recipe: recipe.stem)
def test_its_code_runs_and_prints_what_it_says(recipe, capsys):
    if backend_of(recipe) != keras.backend.backend():
        pytest.skip(f"it is for {backend_of(recipe)}")
    names: dict = {"__name__": "recipe"}
    tried = [code for code in code_of(recipe) if not lacking(code)]
    for code in tried:
        exec(code.replace("epochs=30", "epochs=2, verbose=0"), names)
    printed = capsys.readouterr().out
    for said in re.findall(r"print\(.*\)  # ([\[\d'].*)", "\n".join(tried)):
        for piece in said.split(" …"):  # an ellipsis stands for what a recipe leaves out
            assert piece.strip(", ") in printed


def test_only_loggers_need_what_is_not_installed():
    needed = {recipe.stem for recipe in WITH_CODE if any(map(lacking, code_of(recipe)))}
    assert needed <= {"loggers"}
