"""A study keeps what is done, whatever happens to the rest."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import cloudpickle
import pytest

import keras_lcb as lcb
from keras_lcb import experiments
from keras_lcb.experiments import running
from keras_lcb.experiments.member import failure_path, lock_path, result_path
from keras_lcb.runs import schema


def run(study, folder, jobs=1, **options):
    return experiments.run(study, folder, jobs=jobs, progress=False, **options)


def seconds_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.nc")}


def test_what_is_there_is_not_run_again(study, tmp_path):
    run(study, tmp_path / "runs")
    written = seconds_of(tmp_path / "runs")
    assert len(written) == 6 == len(list((tmp_path / "runs").iterdir()))  # and no lock is left
    second = result_path(tmp_path / "runs", study.members()[1].key)
    second.unlink()
    wider = dataclasses.replace(study, seeds=(0, 1, 2, 3))
    missing = experiments.load(wider, tmp_path / "runs").missing
    assert [member.seed for member in missing] == [1, 3, 3]
    assert run(wider, tmp_path / "runs").missing == []
    for path in written:
        assert (path.stat().st_mtime_ns != written[path]) == (path == second)


def test_a_failing_member_is_listed_and_the_rest_kept(toy, tmp_path):
    grid = {"size": (-1.0, 2.0), "power": (1, 2)}
    study = experiments.Study("toy_engine:engine", toy.Settings(), grid, (0,))
    results = run(study, tmp_path)
    assert [one.distance.values.max() for one in results.runs.values()] == [2.0, 4.0]
    assert [member.choice[0] for member, _ in results.failures] == [("size", -1.0)] * 2
    assert results.failures[0][1] == "ValueError: no size is -1.0"
    (told, _) = tmp_path.glob("*.error.json")
    assert "toy_engine.py" in json.loads(told.read_text())["traceback"]


def test_a_member_that_failed_is_tried_again(study, tmp_path):
    member = study.members()[0]
    failure_path(tmp_path, member.key).write_text('{"error": "OSError: disk full"}')
    assert run(study, tmp_path).failures == []
    assert not failure_path(tmp_path, member.key).exists()


def test_members_run_in_processes_of_their_own_with_this_backend(study, tmp_path):
    import keras

    before = dict(os.environ)
    results = run(study, tmp_path / "runs", jobs=2)
    assert dict(os.environ) == before
    seen = [lcb.load_run(path) for path in (tmp_path / "runs").glob("*.nc")]
    assert os.getpid() not in {schema.settings(one)["process"][0] for one in seen}
    assert {one.attrs["backend"] for one in seen} == {keras.backend.backend()}
    assert {schema.settings(one)["threads"] for one in seen} == {max(1, os.cpu_count() // 2)}
    assert len(results.runs) == 2


PROGRAM = """
import os, keras, toy_engine as toy
from keras_lcb import experiments as e
child = os.fork() if {twice} else 0  # two processes load Keras once
base, grid = toy.Settings(wait={wait}, marks={marks!r}), {{'size': (1.0, 2.0)}}
study = e.Study('toy_engine:engine', base, grid, (0, 1))
e.run(study, {folder!r}, jobs={jobs}, progress=False)
if child:
    assert os.waitpid(child, 0) == (child, 0)
"""


def started(twice=False, backend="jax", **told):  # which loads in half the time of TensorFlow
    environment = {**os.environ, "KERAS_BACKEND": backend}
    program = PROGRAM.format(twice=twice, **told)
    return subprocess.Popen([sys.executable, "-c", program], env=environment)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_study_goes_on(toy, tmp_path, jobs):
    folder = tmp_path / "runs"
    told = {"wait": 0.5, "marks": "", "folder": str(folder), "jobs": jobs}
    process = started(backend=running._keras_backend(), **told)
    while not list(folder.glob("*.nc")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = seconds_of(folder)
    grid = {"size": (1.0, 2.0)}
    study = experiments.Study("toy_engine:engine", toy.Settings(wait=0.5), grid, (0, 1))
    results = run(study, folder)
    assert len(list(folder.glob("*.nc"))) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    assert [one.sizes["seed"] for one in results.runs.values()] == [2, 2]


def test_a_killed_worker_costs_what_was_under_way(toy, on_jax, tmp_path):
    """One kills its process once and one always: the first is made, the other listed."""
    base = toy.Settings(marks=str(tmp_path), wait=0.2)
    grid = {"size,deaths": ((1.0, 1), (2.0, 99), (3.0, 0), (4.0, 0))}
    study = experiments.Study("toy_engine:engine", base, grid, (0,))
    results = run(study, tmp_path / "runs", jobs=2)
    assert [m.config.size for m, _ in results.failures] == [2.0]
    assert results.failures[0][1] == "Its process was killed 2 times."
    assert len(results.runs) == 3 and not results.missing
    assert len(list(tmp_path.glob("2-0-*"))) == 2
    assert not list((tmp_path / "runs").glob("*.lock"))


@pytest.fixture
def stillborn(study, tmp_path, monkeypatch):
    """Runs a member whose processes are killed so many times before they are at it."""
    one = dataclasses.replace(study, grid={}, seeds=(0,))
    failed = failure_path(tmp_path / "runs", one.members()[0].key)
    marks = tmp_path / "marks"
    marks.mkdir()

    def run_after(deaths):
        def killed():  # pickled by value, and without Keras: it starts at once
            if len(list(marks.iterdir())) < deaths:
                (marks / str(os.getpid())).write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            failed.write_text('{"error": "it was tried"}')

        monkeypatch.setattr(running._Work, "_task", lambda *_: ({}, cloudpickle.dumps(killed)))
        return run(one, tmp_path / "runs", jobs=2)

    run_after.killed = lambda: len(list(marks.iterdir()))
    return run_after


def test_a_member_survives_workers_that_are_killed_before_they_are_at_it(stillborn):
    results = stillborn(deaths=2)
    assert [error for _, error in results.failures] == ["it was tried"]
    assert stillborn.killed() == 2


def test_workers_that_are_always_killed_as_they_start_end_the_study(stillborn):
    with pytest.raises(Exception, match="terminated"):
        stillborn(deaths=99)
    assert stillborn.killed() == 3


def test_two_processes_share_a_folder(toy, tmp_path):
    folder, marks = tmp_path / "runs", tmp_path / "marks"
    marks.mkdir()
    assert started(True, wait=0.3, marks=str(marks), folder=str(folder), jobs=1).wait() == 0
    assert len(list(folder.iterdir())) == 4
    made = [path.read_text() for path in marks.iterdir()]
    assert len(made) == 4  # each by one of them


def test_a_lock_that_another_process_holds_is_waited_for(study, tmp_path):
    """It dies without a result, and the member is run here."""
    member = study.members()[0]
    tmp_path.joinpath("runs").mkdir()
    path = lock_path(tmp_path / "runs", member.key)
    program = (
        f"import fcntl, time; f = open({str(path)!r}, 'a'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(1.5)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        results = run(study, tmp_path / "runs")
        assert holder.poll() is not None
    assert results.missing == []


def test_refused_runs(study, tmp_path):
    with pytest.raises(ValueError, match="jobs"):
        run(study, tmp_path, jobs=0)
    with pytest.raises(ValueError, match="one of dask, loky, ray; received 'slurm'"):
        run(study, tmp_path, backend="slurm")
    with pytest.raises(ValueError, match="takes no address; received 'here'"):
        run(study, tmp_path, address="here")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError):
        run(study, file)


def test_work_that_cannot_be_sent_is_an_error(study, tmp_path):
    member = dataclasses.replace(study.members()[0], make=(x for x in ()).__next__)
    with pytest.raises(Exception, match="pickle"):
        experiments.complete([member], tmp_path, jobs=2, progress=False)
