"""The site, which `make test` has built before; other runs build it if something changed."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAMP = ROOT / "docs" / "_build" / "built"  # as in the Makefile


def sources():
    yield ROOT / "ARCHITECTURE.md"
    yield from (ROOT / "tutorials").glob("*.ipynb")
    yield from (ROOT / "keras_lcb").rglob("*.py")
    for path in (ROOT / "docs").rglob("*"):
        if path.is_file() and not {"_build", "generated", "__pycache__"} & set(path.parts):
            yield path


def is_stale():
    if not STAMP.exists():
        return True
    return max(path.stat().st_mtime for path in sources()) > STAMP.stat().st_mtime


@pytest.fixture(scope="session")
def site():
    """The folder of the site. Two processes that test it do not build it at the same time."""
    STAMP.parent.mkdir(exist_ok=True)
    with (STAMP.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_stale():
            strict = ["-q", "-W", "--keep-going", "-n"]
            command = [sys.executable, "-m", "sphinx", *strict, "docs", "docs/_build/html"]
            built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stderr[-5000:]
            STAMP.touch()
    return ROOT / "docs" / "_build" / "html"
