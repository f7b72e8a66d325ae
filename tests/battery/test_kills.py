"""A few of the kills of `python -m battery.kills`; the whole takes minutes."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from battery import killed_training, kills

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def test_what_killed_processes_leave_is_whole(tmp_path):
    """In a process of its own: one that has computed with a backend must not be forked."""
    command = [sys.executable, "-m", "battery.kills", "--kills", "4", "--out", str(tmp_path)]
    # The quickest to start.
    environment = {"KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stored = json.loads((tmp_path / "kills.json").read_text())
    assert sorted(stored) == ["reports", "saving", "training, torch"]
    assert all(row["tally"]["kills"] >= 4 for row in stored.values())
    assert kills.main(["--kills", "4", "--out", str(tmp_path), "saving"]) == 0
    assert json.loads((tmp_path / "kills.json").read_text()) == stored  # it was done already


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (["begins 3", "ended 3"], True),
        (["begins 4"], True),  # it ended, and was killed before it could say so
        (["done"], True),
        (["begins 2"], False),  # more was lost than the epoch in which it was killed
        (["begins 0"], False),
        ([], False),
        ([""], False),
    ],
)
def test_where_a_training_must_go_on(said, right):
    assert (killed_training.problem(said, 2) == "") is right


def test_what_is_known_to_have_ended():
    assert killed_training.last_ended([], 4) == 4
    assert killed_training.last_ended(["begins 6", "ended 6", "begins 7"], 4) == 6
    assert killed_training.last_ended(["begins 7"], 4) == 6
