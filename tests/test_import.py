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


def loaded(program: str, **environment: str) -> list[set[str]]:
    """The modules that are loaded at each `look()` of a program, beyond those before it."""
    before = "import json, sys\nlook = lambda: print(json.dumps(sorted(sys.modules)))\nlook()\n"
    done = subprocess.run(
        [sys.executable, "-c", before + program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    first, *found = (set(json.loads(line)) for line in done.stdout.splitlines())
    return [modules - first for modules in found]


def test_nothing_heavy_is_loaded_before_it_is_used():
    program = "import keras\nlook()\nimport keras_lcb\nlook()\nkeras_lcb.LayerConvergence\nlook()"
    keras, package, callbacks = loaded(program)
    assert "keras_lcb.training.layerwise_model" in package  # or Keras could not load such a model
    assert "keras_lcb.callbacks.layer_convergence" in callbacks
    assert not (callbacks - keras).intersection(HEAVY)


def test_a_page_of_the_lab_loads_neither_keras_nor_what_it_may_never_use():
    program = "import keras_lcb.lab.serving.address\nlook()"
    (page,) = loaded(program, KERAS_LCB_TRAINER="somewhere")
    assert "keras_lcb.lab.labs.depth" in page
    assert not page & {"keras", "tensorflow", "matplotlib", "scipy.stats", "sklearn"}


@pytest.mark.parametrize("name", keras_lcb.__all__)
def test_every_public_name_is_there(name):
    assert getattr(keras_lcb, name) is getattr(keras_lcb, name)
    assert name in dir(keras_lcb)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="attribute .?gradient_norms"):
        keras_lcb.gradient_norms  # noqa: B018
    assert not hasattr(keras_lcb, "gradient_norms")


def test_type_checkers_see_what_the_program_sees():
    """The names that mypy and editors are told of are those that are there when it runs."""
    for package in (keras_lcb, keras_lcb.synthetic):
        tree = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
        told = [
            (alias.name, alias.asname, node.module)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        assert all(name == known for name, known, _ in told)
        assert sorted(name for name, _, _ in told) == sorted(package.__all__)


def test_the_import_benchmark_prints_what_is_added():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.import_time", "--rounds", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},  # Keras loads twice, on JAX the soonest
    )
    assert re.search(r"import keras_lcb adds \d+\.\d ms", done.stdout)
