"""The wheel: what is in it, and that it works where the checkout is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT / "keras_lcb",
        folder / "source" / "keras_lcb",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("pyproject.toml", "setup.py", "keras_lcb_cli.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, "source"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        told = archive.read(metadata).decode()
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "keras_lcb").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == package | {"keras_lcb_cli.py"}
    assert "keras_lcb/py.typed" in names
    assert "License-Expression: Apache-2.0" in told
    requirements = [line for line in told.splitlines() if line.startswith("Requires-Dist")]
    upper = [line for line in requirements if "<" in line or "==" in line.split(";")[0]]
    assert requirements and not upper


def test_the_wheel_works_outside_the_checkout(wheel, tmp_path):
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    program = """
import keras_lcb as lcb, keras_lcb_cli
from keras_lcb.runs import schema
over = (("step", "layer"), [[2.0, 1.0], [0.0, 0.0]])
run = schema.dataset(
    {"distance": over, "normalized_distance": over},
    {"step": [0, 9], "layer": ["a", "b"], "depth": [0, 1]},
)
lcb.save_run(run, "run.nc")
assert keras_lcb_cli.main(["report", "run.nc"]) == 0
print(lcb.__file__)
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == ["run.html", str(installed / "keras_lcb" / "__init__.py")]
    assert "<html" in (tmp_path / "run.html").read_text()
