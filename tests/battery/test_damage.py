"""A few of the files of `python -m battery.damage`, and what it makes of them."""

from __future__ import annotations

import os
import random
import signal

import pytest

from battery import damage
from keras_lcb.runs import example_run
from keras_lcb.runs.storage import save_run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

WITH_CHECKSUM = [kind for kind, (_, checksum, _) in damage.KINDS.items() if checksum]


@pytest.mark.parametrize("kind", WITH_CHECKSUM)
def test_damaged_files_are_refused_or_right(kind):
    counted = damage.outcomes_of(kind, 40, seed=1)
    assert set(counted) <= {"refused", "right"} and counted.total() == 40
    assert counted["refused"] >= 12


def test_files_from_elsewhere_never_crash():
    counted = damage.outcomes_of("bytes changed, no checksum", 3, seed=1)
    assert set(counted) <= {"refused", "right", "changed"}
    counted = damage.outcomes_of_made_files(3, seed=1)
    assert set(counted) <= {"refused", "right"}


def test_crashes_and_wrong_numbers_are_counted(tmp_path):
    def load(first):
        for number in range(first, 4):
            if number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            yield "right"

    assert damage._counted(load) == {"right": 3, "crash": 1}
    path = tmp_path / "run.nc"
    save_run(example_run(2), path)
    assert damage.outcome(path, example_run(2), "wrong") == "right"
    assert damage.outcome(path, example_run(3), "wrong") == "wrong"
    assert damage.outcome(tmp_path / "none.nc", None, "wrong").startswith("FileNotFoundError")


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damage_depends_on_the_seed_only(kind):
    content = bytes(range(256)) * 20
    how, *_ = damage.KINDS[kind]
    assert how(content, random.Random(3)) == how(content, random.Random(3))
    assert any(how(content, random.Random(seed)) != content for seed in range(5))
