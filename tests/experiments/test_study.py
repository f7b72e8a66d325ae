"""A study keeps what is done, whatever happens to the rest."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.experiments import study as studies
from keras_lcb.runs import schema

ENGINE = """
import dataclasses, json, os, time
from keras_lcb.runs import schema

@dataclasses.dataclass(frozen=True)
class Settings:
    size: float = 1.0
    power: int = 1
    wait: float = 0.0
    seed: int = 0

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

def engine(settings):
    if settings.size < 0:
        raise ValueError(f"no size is {settings.size}")
    time.sleep(settings.wait)
    start = settings.size ** settings.power + settings.seed
    threads = int(os.environ["TF_NUM_INTRAOP_THREADS"])
    return schema.dataset(
        {"distance": (("step", "layer"), [[start], [0.0]])},
        {"step": [0, 10], "layer": ["one"], "wall_time": [0.0, time.time()]},
        {"seed": settings.seed, "backend": os.environ["KERAS_BACKEND"],
         "process": [os.getpid(), settings.seed], "threads": threads,
         "all": {"size": settings.size, "seed": settings.seed},
         "first_nonfinite_update": settings.seed - 1},
    )
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A module with an engine that takes no time, and its settings."""
    (tmp_path / "toy_engine.py").write_text(ENGINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("toy_engine")
    del sys.modules["toy_engine"]


@pytest.fixture
def study(toy):
    return experiments.Study("toy_engine:engine", toy.Settings(), {"size": (1.0, 5.0)}, (0, 1, 2))


def run(study, folder, jobs=1):
    return experiments.run(study, folder, jobs=jobs, progress=False)


def test_runs_stack_along_the_seed(study, tmp_path):
    results = run(study, tmp_path / "runs")
    assert list(results.runs) == [(("size", 1.0),), (("size", 5.0),)]
    five = results.runs[("size", 5.0),]
    assert five.distance.dims == ("seed", "step", "layer")
    assert five.distance.sel(step=0, layer="one").values.tolist() == [5.0, 6.0, 7.0]
    assert five.seed.values.tolist() == [0, 1, 2]
    assert "seed" not in five.attrs
    assert schema.settings(five) == {
        "threads": schema.settings(five)["threads"],
        "all": {"size": 5.0},
    }
    assert five.attrs["first_nonfinite_update"] == 0
    assert (results.failures, results.missing) == ([], [])
    lcb.save_run(five, tmp_path / "five.nc")
    assert schema.is_run(lcb.load_run(tmp_path / "five.nc"))


def test_what_is_there_is_not_run_again(study, toy, tmp_path):
    run(study, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.nc")}
    assert len(written) == 6
    first, second = study.members()[:2]
    studies.result_path(tmp_path, second).unlink()
    wider = dataclasses.replace(study, seeds=(0, 1, 2, 3))
    assert [member.seed for member in experiments.load(wider, tmp_path).missing] == [1, 3, 3]
    assert run(wider, tmp_path).missing == []
    for path in written:
        again = path == studies.result_path(tmp_path, second)
        assert (path.stat().st_mtime_ns != written[path]) == again


def test_a_failing_member_is_listed_and_the_rest_kept(toy, tmp_path):
    study = experiments.Study(
        "toy_engine:engine", toy.Settings(), {"size": (-1.0, 2.0), "power": (1, 2)}, (0,)
    )
    results = run(study, tmp_path)
    assert [one.distance.values.max() for one in results.runs.values()] == [2.0, 4.0]
    assert [member.choice[0] for member, _ in results.failures] == [("size", -1.0)] * 2
    assert results.failures[0][1] == "ValueError: no size is -1.0"
    (told, _) = tmp_path.glob("*.error.json")
    assert "toy_engine.py" in json.loads(told.read_text())["traceback"]


def test_a_member_that_failed_is_tried_again(study, tmp_path):
    member = study.members()[0]
    studies.failure_path(tmp_path, member).write_text('{"error": "OSError: disk full"}')
    assert experiments.load(study, tmp_path).failures == [(member, "OSError: disk full")]
    assert run(study, tmp_path).failures == []
    assert not studies.failure_path(tmp_path, member).exists()


def test_members_run_in_processes_of_their_own_with_this_backend(study, tmp_path):
    import keras

    before = dict(os.environ)
    results = run(study, tmp_path, jobs=2)
    assert dict(os.environ) == before
    seen = [lcb.load_run(path) for path in tmp_path.glob("*.nc")]
    assert os.getpid() not in {schema.settings(one)["process"][0] for one in seen}
    assert {one.attrs["backend"] for one in seen} == {keras.backend.backend()}
    assert {schema.settings(one)["threads"] for one in seen} == {max(1, os.cpu_count() // 2)}
    assert len(results.runs) == 2


def test_a_killed_study_goes_on(toy, tmp_path):
    program = (
        "import toy_engine as toy; from keras_lcb import experiments as e\n"
        "base, grid = toy.Settings(wait=0.5), {'size': (1.0, 2.0)}\n"
        "study = e.Study('toy_engine:engine', base, grid, (0, 1))\n"
        "e.run(study, 'runs', jobs=1, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    folder = tmp_path / "runs"
    while not list(folder.glob("*.nc")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*.nc")}
    assert 1 <= len(done) < 4
    study = experiments.Study(
        "toy_engine:engine", toy.Settings(wait=0.5), {"size": (1.0, 2.0)}, (0, 1)
    )
    results = run(study, folder)
    assert len(list(folder.glob("*.nc"))) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert [one.sizes["seed"] for one in results.runs.values()] == [2, 2]


def test_runs_of_other_lengths_and_times_stack(study, tmp_path):
    results = run(study, tmp_path)
    one = results.runs[("size", 1.0),]
    shorter = one.isel(seed=[0], step=[0])
    assert "wall_time" not in one
    assert np.isnan(studies._stacked([one.isel(seed=[1]), shorter]).distance.values).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine": "toy_engine"}, "package.module:function"),
        ({"grid": {"sise": (1.0,)}}, "no setting 'sise'"),
        ({"grid": {"size": ()}}, "a value"),
        ({"grid": {"size": (1.0, 1.0)}}, "twice"),
        ({"seeds": ()}, "needs a seed"),
    ],
)
def test_refused_studies(study, change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(study, **change)


def test_refused_runs(study, tmp_path):
    with pytest.raises(ValueError, match="jobs"):
        run(study, tmp_path, jobs=0)
    with pytest.raises(ValueError, match="no engine 'toy_engine:motor'"):
        run(dataclasses.replace(study, engine="toy_engine:motor"), tmp_path)
    file = Path(tmp_path / "file")
    file.write_text("")
    with pytest.raises(OSError):
        run(study, file)


def test_settings_that_belong_together_are_one_choice(toy):
    grid = {"size,power": ((1.0, 2), (3.0, 4))}
    study = experiments.Study("toy_engine:engine", toy.Settings(), grid, (0,))
    assert [(m.config.size, m.config.power) for m in study.members()] == [(1.0, 2), (3.0, 4)]
