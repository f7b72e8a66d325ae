from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_lcb

ROOT = Path(__file__).parents[1]
HEAVY = [
    "IPython",
    "ipywidgets",
    "joblib",
    "matplotlib",
    "pandas",
    "scipy",
    "sklearn",
    "tensorflow_datasets",
    "tqdm",
    "xarray",
]


def test_nothing_heavy_is_loaded_beyond_what_keras_loads():
    program = """
import json, sys
import keras
before = set(sys.modules)
import keras_lcb
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    added = set(json.loads(done.stdout))
    assert "keras_lcb.callbacks" in added
    assert not added.intersection(HEAVY)


@pytest.mark.parametrize("name", keras_lcb.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keras_lcb, name) is getattr(keras_lcb, name)
    assert name in dir(keras_lcb)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'gradient_norms'"):
        keras_lcb.gradient_norms  # noqa: B018
    assert not hasattr(keras_lcb, "gradient_norms")


def test_type_checkers_see_what_the_program_sees():
    """The names that mypy and editors are told of are those that are there when it runs."""
    tree = ast.parse(Path(keras_lcb.__file__).read_text())
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and "keras_lcb" in node.module
        for alias in node.names
    }
    assert set(told) == set(keras_lcb.__all__)
    lazy = {name: told[name] for name in keras_lcb._ON_FIRST_USE}
    assert lazy == keras_lcb._ON_FIRST_USE


def test_the_import_benchmark_prints_what_is_added():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.import_time", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert re.search(r"import keras_lcb adds \d+\.\d ms", done.stdout)
